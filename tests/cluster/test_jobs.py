import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from equal_runs import until

from spikevision.cluster import jobs as module
from spikevision.cluster.jobs import Job, Jobs


@pytest.fixture
def dashboard(monkeypatch, tmp_path):
    """A dashboard that answers, and the client of it that the test gives."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    client = SimpleNamespace()
    monkeypatch.setattr(module, "_client", lambda address: client)
    monkeypatch.setattr(module, "_check_reachable", lambda address: None)
    return client


def test_a_command_is_sent_as_words_that_no_shell_changes(dashboard):
    sent = []
    dashboard.submit_job = lambda **settings: sent.append(settings) or "job"
    jobs = Jobs()
    assert jobs.submit(["train", "a b.py"], folder="/x y") == "job"
    assert jobs.submit(["train", "c.py"], folder="/p", name="n", python="py", upload=True) == "job"
    program = "-m spikevision.cli.main train"
    assert [job["entrypoint"] for job in sent] == [
        f"env '--chdir=/x y' python {program} 'a b.py'",
        f"py {program} c.py",
    ]
    assert [job["submission_id"] for job in sent] == [None, "n"]
    assert [job["runtime_env"] for job in sent] == [None, {"working_dir": "/p"}]


def test_jobs_are_listed_in_the_order_of_their_start_and_those_of_drivers_are_left_out(dashboard):
    def found(name, start, status="RUNNING", message=""):
        return SimpleNamespace(
            submission_id=name, start_time=start, status=status, entrypoint="e", message=message
        )

    told = "Job failed, last available logs (truncated to 20,000 chars):\nmuch"
    dashboard.list_jobs = lambda: [
        found("late", 2, "FAILED", told),
        found(None, 3),
        found("early", 1, SimpleNamespace(value="PENDING"), None),
    ]
    early, late = Jobs().list()
    assert early == Job(name="early", status="PENDING", command="e")
    assert late == Job(name="late", status="FAILED", command="e", message="Job failed")
    assert (early.ended, late.ended) == (False, True)


def test_a_name_that_is_taken_and_a_job_that_is_not_there_are_named(dashboard):
    def refuse(*words, **settings):
        raise RuntimeError("Request failed:\nTraceback\nValueError: it is so")

    dashboard.submit_job = dashboard.get_job_info = refuse
    with pytest.raises(ValueError, match="^the job is refused: ValueError: it is so$"):
        Jobs().submit(["train"], folder=".")
    for ask in (Jobs().get, Jobs().stop, lambda name: Jobs().follow(name, print)):
        with pytest.raises(ValueError, match="no job 'no' at http://127.0.0.1:8265: ValueError"):
            ask("no")


@pytest.mark.ray
@pytest.mark.slow
def test_a_job_is_sent_followed_left_found_again_and_another_one_is_stopped(
    cluster_config, spikevision, ray_environment, ray_head, tmp_path
):
    def start(*words: object) -> subprocess.Popen:
        words = (*words[:2], "--dashboard", ray_head.dashboard, *words[2:])
        return subprocess.Popen(
            spikevision(*words),
            env=ray_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # tests that a shell runs in the background are started with the signal ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def submit(job: str, *words: str) -> subprocess.Popen:
        where = ["--python", sys.executable, "--folder", tmp_path]
        train = ["train", "tiny.py", "--workers", "1", "--name", job, "--storage", "runs"]
        train += ["--cfg-options", "train_cfg.max_epochs=1"]
        return start("submit", f"--job={job}", *where, *words, "--", *train)

    def end(process: subprocess.Popen) -> tuple[int, str]:
        printed, errors = process.communicate(timeout=600)
        return process.returncode, errors + printed

    (tmp_path / "wait_at").write_text("8")
    follower = submit("first")
    until(lambda: (tmp_path / "reached_8").exists(), follower)
    follower.send_signal(signal.SIGINT)
    status, text = end(follower)
    assert status == 130
    assert "job first goes on; spikevision jobs logs first" in text

    status, text = end(start("jobs", "list"))
    assert status == 0
    assert text.splitlines()[-1].split()[:2] == ["first", "running"]
    status, text = end(submit("first"))
    assert status == 2
    assert "the job is refused" in text
    (tmp_path / "wait_at").unlink()
    status, text = end(start("jobs", "logs", "first"))
    assert status == 0
    assert "run folder: " in text
    assert text.endswith("job first: succeeded\n")
    record = json.loads((tmp_path / "runs/first/run.json").read_text())
    assert (record["status"], record["iter"]) == ("finished", 40)

    assert end(submit("second", "--detach"))[0] == 0
    assert end(start("jobs", "stop", "second"))[1].endswith("job second was told to end\n")
    status, text = end(start("jobs", "logs", "second"))
    assert status == 1
    assert text.endswith("job second: stopped\n")
    assert not (tmp_path / "runs/second/run.json").exists()
    assert end(start("jobs", "logs", "third"))[0] == 2
