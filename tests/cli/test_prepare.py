import pytest

from spikevision.cli import prepare
from spikevision.cli.main import main
from spikevision.datasets.preparers import PREPARERS


def test_help_lists_every_data_set_that_can_be_prepared(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # names are not broken at their hyphens
    assert set(prepare.NAMES) == set(PREPARERS)
    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ", ".join(prepare.NAMES) in shown


def test_an_unknown_name_is_wrong_input_and_lists_the_known_ones(capsys, tmp_path):
    assert main(["prepare", "mnist", "--root", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert all(name in shown for name in PREPARERS)
    assert list(tmp_path.iterdir()) == []
