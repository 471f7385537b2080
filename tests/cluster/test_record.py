import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from spikevision.cluster.record import MARK, NodeRecord, end, marked, read_record, running


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def sleeper():
    """Start a process with a mark; one that does not listen to SIGTERM if asked for."""
    started = []

    def start(mark: str, *, deaf: bool = False) -> subprocess.Popen:
        ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else ""
        code = ignore + "print(flush=True)\nimport time; time.sleep(60)"
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, MARK: mark}, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def record(mark: str) -> NodeRecord:
    return NodeRecord(
        address="10.0.0.1:6379", host="10.0.0.2", head=False, dashboard=None, mark=mark
    )


def test_a_node_is_remembered_while_one_of_its_processes_lives(sleeper):
    assert read_record() is None
    process = sleeper("one")
    record("one").write()
    assert read_record() == record("one")
    process.kill()
    process.wait()
    assert read_record() is None


def test_a_file_of_another_form_is_no_node(home):
    record("one").write()
    (home / ".ray/spikevision_node.json").write_text("{}")
    assert read_record() is None


def test_only_the_processes_of_the_mark_are_ended_also_those_that_do_not_listen(
    sleeper, monkeypatch
):
    monkeypatch.setattr("spikevision.cluster.record.PATIENCE_S", 0.5)
    ours, deaf, other = sleeper("one"), sleeper("one", deaf=True), sleeper("two")
    assert end(marked("one")) == 2
    ours.wait(timeout=5)
    deaf.wait(timeout=5)
    assert other.poll() is None
    assert [process.pid for process in marked("two")] == [other.pid]


def test_processes_that_lost_their_mark_are_known_by_number_and_start(sleeper):
    renamed = sleeper("")
    started = psutil.Process(renamed.pid).create_time()
    known = replace(record("one"), processes=[(renamed.pid, started)])
    assert [process.pid for process in running(known)] == [renamed.pid]
    other = replace(
        record("one"), processes=[(renamed.pid, started - 1)]
    )  # the number was given again
    assert running(other) == set()


def test_what_a_process_started_ends_with_it(sleeper):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], env={})"
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: "one"})
    process = psutil.Process(parent.pid)
    until = time.monotonic() + 30
    while not process.children() and time.monotonic() < until:
        time.sleep(0.05)
    (child,) = process.children()
    assert end(marked("one")) == 2
    parent.wait(timeout=5)
    assert not child.is_running()
