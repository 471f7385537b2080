import argparse

import pytest
from tiny_training import SPIKING

from spikevision.cli.profile import add_arguments, run


def profile(config, *flags):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(config), *flags]))


def test_the_table_shows_the_most_expensive_layers(config, capsys):
    with config.open("a") as file:
        file.write(f"model = { ({k: v for k, v in SPIKING.items() if k != '_delete_'}) }\n")
    assert profile(config, "--top", "3") == 0
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if line.endswith(")")]
    assert len(rows) == 3
    assert "kept for the backward pass" in shown


def test_a_table_of_no_rows_is_refused(config):
    with pytest.raises(ValueError, match="--top must be at least 1, got 0"):
        profile(config, "--top", "0")
