from pathlib import Path

import pytest
from tiny_training import SPIKING

from spikevision.cli.audit import add_arguments, run
from spikevision.jobs.audit import audit_config
from spikevision.statistics import breaks_rule

MODEL = {
    **SPIKING,
    "backbone": {**SPIKING["backbone"], "in_channels": 3},
    "data_preprocessor": {"mean": [127.5] * 3, "std": [64.0] * 3, "num_classes": 2},
}


def test_a_config_is_audited_on_its_test_data(spiking_spec):
    findings = audit_config(spiking_spec())
    assert (findings[0].role, findings[0].input) == ("first", "real")
    assert breaks_rule(findings)


def test_the_fused_form_is_not_broken(spiking_spec):
    assert not breaks_rule(audit_config(spiking_spec(), fused=True))


def test_noise_stands_in_for_missing_data(spec):
    options = {"model": MODEL, "test_dataloader.dataset.data_root": "/nowhere"}
    options["test_dataloader.dataset.pipeline"] = [{"type": "CenterCrop", "crop_size": 32}]
    findings = audit_config(spec(cfg_options=options))
    assert {finding.input for finding in findings} >= {"real", "binary"}


def test_grey_images_are_not_guessed(spiking_spec):
    with pytest.raises(ValueError, match="1 channels cannot be audited on noise"):
        audit_config(spiking_spec(cfg_options={"test_dataloader.dataset.data_root": "/nowhere"}))


@pytest.mark.parametrize(
    ("flags", "status"), [([], 0), (["--strict"], 1), (["--strict", "--fused"], 0)]
)
def test_strict_exits_with_1_where_the_rule_is_broken(
    spiking_spec, config: Path, capsys, flags, status
):
    import argparse

    with config.open("a") as file:
        file.write(f"model = { ({k: v for k, v in SPIKING.items() if k != '_delete_'}) }\n")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args([str(config), *flags])) == status
    assert "spike-driven behind the first layer" in capsys.readouterr().out


def test_integer_neurons_are_audited_in_their_unrolled_form(spiking_spec):
    integer = {"type": "spikevision.IntegerLIF", "levels": 4}
    parts = ("backbone", "head")
    options = {"model": {**SPIKING, **{p: {**SPIKING[p], "neuron": integer} for p in parts}}}
    assert breaks_rule(audit_config(spiking_spec(cfg_options=options), fused=True))
    findings = audit_config(spiking_spec(cfg_options=options), unrolled=True)
    assert {f.input for f in findings if f.role != "first"} <= {"binary", "silent"}
    assert "binary" in {f.input for f in findings}
    with pytest.raises(ValueError, match="backbone.* is a LIF"):
        audit_config(spiking_spec(), unrolled=True)
