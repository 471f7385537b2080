import argparse
import json

import pytest

from spikevision.cli import doctor
from spikevision.compat.doctor import Check


def run(arguments):
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return doctor.run(parser.parse_args(arguments))


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_exit_status_is_one_only_when_something_fails(monkeypatch, capsys, status, code):
    findings = [Check("one", "ok", "fine"), Check("longer name", status, "found", "mend it")]
    monkeypatch.setattr("spikevision.compat.doctor.check", lambda: findings)
    assert run([]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok    one          fine"
    assert lines[2].strip() == "-> mend it"


def test_json_holds_every_finding(monkeypatch, capsys):
    monkeypatch.setattr("spikevision.compat.doctor.check", lambda: [Check("one", "ok", "fine")])
    assert run(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "one", "status": "ok", "detail": "fine", "remedy": ""}
    ]
