import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from equal_runs import rows, until

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
def test_a_job_is_sent_followed_left_stopped_and_goes_on(
    cluster_config, spikevision, ray_environment, ray_head, tmp_path
):
    def run(*words: object) -> SimpleNamespace:
        words = (*words[:2], "--dashboard", ray_head.dashboard, *words[2:])
        command = spikevision(*words)
        done = subprocess.run(command, env=ray_environment, capture_output=True, text=True)
        return SimpleNamespace(status=done.returncode, text=done.stdout + done.stderr)

    train = ["train", "tiny.py", "--workers", "1", "--name", "one", "--storage", "runs"]

    def submit(name: str) -> subprocess.Popen:
        words = ["--dashboard", ray_head.dashboard, "--python", sys.executable, "--job", name]
        command = spikevision("submit", *words, "--folder", tmp_path, "--", *train)
        return subprocess.Popen(
            command,
            env=ray_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    (tmp_path / "wait_at").write_text("8")
    follower = submit("first")
    until(lambda: (tmp_path / "reached").exists(), follower)
    follower.send_signal(signal.SIGINT)
    assert "job first goes on; spikevision jobs logs first" in follower.communicate(timeout=300)[0]
    assert follower.returncode == 130

    listed = run("jobs", "list")
    assert listed.status == 0, listed.text
    (line,) = [line for line in listed.text.splitlines() if line.startswith("first ")]
    assert line.split()[1] == "running"
    taken = submit("first")
    assert "the job is refused" in taken.communicate(timeout=300)[0]
    assert taken.returncode == 2
    assert run("jobs", "stop", "first").text == "job first was told to end\n"
    (tmp_path / "wait_at").unlink()
    logs = run("jobs", "logs", "first")
    assert logs.status == 1
    assert logs.text.endswith("job first: stopped\n")
    assert "run folder: " in logs.text
    assert run("jobs", "logs", "no").status == 2

    again = submit("second")
    text = again.communicate(timeout=600)[0]
    assert again.returncode == 0, text[-3000:]
    assert text.endswith("job second: succeeded\n")
    done = rows(tmp_path / "losses_0.jsonl")
    first = [row["iter"] for row in done if row["pid"] == done[0]["pid"]]
    second = [row["iter"] for row in done if row["pid"] != done[0]["pid"]]
    assert second[0] == (first[-1] + 1) // 7 * 7  # the last checkpoint
    assert second == list(range(second[0], 120))
    record = json.loads((tmp_path / "runs/one/run.json").read_text())
    assert (record["status"], record["resumed"]) == ("finished", 1)
