"""The first steps of the cold-start benchmark share their caches as told, and nothing else."""

import argparse
import subprocess
import sys

import cold_start

ARGS = argparse.Namespace(network="spikformer-8-384", time_steps=2, batch=1, size=32)


def test_a_first_step_runs_in_a_process_with_the_caches_and_the_backend_given(
    monkeypatch, tmp_path
):
    calls = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, **kwargs: calls.append((command, kwargs))
    )
    assert cold_start.first_step_s(ARGS, tmp_path, "plain") >= 0
    ((command, settings),) = calls
    assert command == [sys.executable, "-c", cold_start.FIRST_STEP, ARGS.network, "2", "1", "32"]
    assert settings["check"]
    environment = settings["env"]
    assert environment["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    assert environment["XDG_CACHE_HOME"] == str(tmp_path)
    assert environment["SPIKEVISION_NEURON_BACKEND"] == "plain"


def test_the_line_says_how_much_later_than_eager(monkeypatch):
    seconds, lines = iter([70.0, 15.0, 10.0]), []
    monkeypatch.setattr(cold_start, "first_step_s", lambda *_: next(seconds))
    monkeypatch.setattr(cold_start, "publish", lines.append)
    monkeypatch.setattr(sys, "argv", ["cold_start.py"])
    cold_start.main()
    assert (lines[0]["cold_later_than_eager_s"], lines[0]["warm_later_than_eager_s"]) == (60.0, 5.0)
