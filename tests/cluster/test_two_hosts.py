"""A cluster of two hosts that have only a cable between them: two network namespaces of this machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import pytest
from equal_runs import assert_equals, rows, until

INTERVAL = 7  # iterations between two checkpoints of the tiny training
PLAIN = """
import sys
from ray._raylet import Config, GcsClient
Config.initialize("")
GcsClient(address=sys.argv[1]).internal_kv_exists(b"x", namespace=None, timeout=5)
"""

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("ip"),
        reason="two hosts are network namespaces, which need root and iproute2",
    ),
]


class Host:
    """One of them: its own network and its own home."""

    def __init__(self, number: int, environment: dict[str, str]) -> None:
        tag = os.getpid() % 10000
        self.name = f"sv{tag}_{number}"
        self.link = f"sv{tag}l{number}"
        self.address = f"10.{100 + tag % 100}.{tag // 100}.{number}"
        self.home = Path(
            tempfile.mkdtemp(prefix="sv", dir="/tmp")
        )  # Ray's sockets need short paths
        self.environment = {
            **environment,
            "HOME": str(self.home),
            "RAY_TMPDIR": str(self.home),
            "RAY_raylet_start_wait_time_s": "60",
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "10",
        }
        del self.environment["RAY_AUTH_TOKEN_PATH"]

    def start(self, *words: object, **change: str) -> subprocess.Popen:
        command = ["ip", "netns", "exec", self.name, sys.executable, *map(str, words)]
        return subprocess.Popen(
            command,
            env={**self.environment, **change},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: object, **change: str) -> SimpleNamespace:
        """Run a command of ours; gives its status and what it printed."""
        process = self.start("-m", "spikevision.cli.main", *words, **change)
        text = process.communicate(timeout=400)[0]
        return SimpleNamespace(status=process.returncode, text=text)

    def kill(self) -> None:
        """Take the power away."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        for number in found.stdout.split():
            os.kill(int(number), signal.SIGKILL)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(scope="module")
def hosts(ray_environment):
    found = one, two = Host(1, ray_environment), Host(2, ray_environment)
    for host in found:
        ip("netns", "add", host.name)
    ip(
        "link",
        "add",
        one.link,
        "netns",
        one.name,
        "type",
        "veth",
        "peer",
        "name",
        two.link,
        "netns",
        two.name,
    )
    for host in found:
        ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", host.link)
        ip("-n", host.name, "link", "set", "lo", "up")
        ip("-n", host.name, "link", "set", host.link, "up")
    yield found
    for host in found:
        host.kill()
        ip("netns", "del", host.name)
        shutil.rmtree(host.home, ignore_errors=True)


@pytest.fixture(scope="module")
def head(hosts):
    """Address of a cluster of both, with TLS."""
    one, two = hosts
    started = one.run("cluster", "start", "--host", one.address, "--tls", "--cpus", 1)
    assert started.status == 0, started.text
    shutil.copytree(one.home / ".ray", two.home / ".ray", ignore=shutil.ignore_patterns("*.json"))
    address = f"{one.address}:6379"
    join(two, address)
    yield address
    ended = one.run("cluster", "stop")
    assert ended.status == 0, ended.text
    left = subprocess.run(["ip", "netns", "pids", one.name], capture_output=True, text=True)
    assert left.stdout == ""


def join(host: Host, address: str) -> None:
    joined = host.run("cluster", "join", address, "--cpus", 1)
    assert joined.status == 0, joined.text


def test_a_check_finds_nothing_wrong_and_one_without_the_secrets_gets_nothing(
    hosts, head, tmp_path
):
    one, two = hosts
    checked = two.run("cluster", "check", "--storage", tmp_path, "--json")
    assert checked.status == 0, checked.text
    findings = json.loads(checked.text[checked.text.index("[\n") :])
    assert {finding["status"] for finding in findings} == {"ok"}, checked.text
    names = {finding["name"] for finding in findings}
    assert {"TLS", "token", "versions", "storage", "connections", "process group"} <= names

    known = stranger(two, tmp_path / "known")
    asked = {
        "the cluster uses TLS": ask(
            two, head, HOME=str(stranger(two, tmp_path / "tls", certified=False))
        ),
        "no token": ask(two, head, HOME=str(known)),
        "refuses us": ask(two, head, HOME=str(known), RAY_AUTH_TOKEN="0" * 64),
    }
    plain = two.start("-c", PLAIN, head, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token(two))
    for reason, process in asked.items():
        text = process.communicate(timeout=400)[0]
        assert process.returncode == 2, text
        assert reason in text
    plain.communicate(timeout=200)
    assert plain.returncode != 0


def stranger(host: Host, home: Path, *, certified: bool = True) -> Path:
    """A home without a token, with the host's certificates or without."""
    home.mkdir()
    if certified:
        shutil.copytree(host.home / ".ray/tls", home / ".ray/tls")
    return home


def ask(host: Host, head: str, **change: str) -> subprocess.Popen:
    return host.start(
        "-m", "spikevision.cli.main", "cluster", "status", "--address", head, **change
    )


def token(host: Host) -> str:
    return (host.home / ".ray/auth_token").read_text()


def train(host: Host, config: Path, head: str, workers: str, folder: Path) -> subprocess.Popen:
    words = ["train", config, "--address", head, "--workers", workers, "--name", "one"]
    return host.start("-m", "spikevision.cli.main", *words, "--storage", folder / "runs")


def test_training_on_two_hosts_equals_that_on_one_to_the_bit(
    hosts, head, cluster_config, undisturbed, tmp_path
):
    driver = train(hosts[0], cluster_config, head, "2", tmp_path)
    text = driver.communicate(timeout=900)[0]
    assert driver.returncode == 0, text[-3000:]
    assert_equals(undisturbed, tmp_path, tmp_path / "runs/one/epoch_3_iter_60/checkpoint.pth")


def test_a_run_loses_a_host_takes_it_back_and_loses_it_again(hosts, head, cluster_config, tmp_path):
    one, two = hosts
    wait_at = tmp_path / "wait_at"
    wait_at.write_text("31")
    driver = train(one, cluster_config, head, "1:2", tmp_path)
    until((tmp_path / "reached_31").exists, driver)

    two.kill()
    wait_at.write_text("40")
    until((tmp_path / "reached_40").exists, driver)  # alone: who waits at 31 ended with its group
    wait_at.write_text("50")
    join(two, head)
    until((tmp_path / "reached_50").exists, driver)  # together again
    ip("-n", two.name, "link", "set", two.link, "down")
    wait_at.unlink()
    text = driver.communicate(timeout=900)[0]
    two.kill()
    ip("-n", two.name, "link", "set", two.link, "up")
    assert driver.returncode == 0, text[-3000:]

    first, second = (lives(tmp_path / f"losses_{rank}.jsonl") for rank in (0, 1))
    assert [life[-1] for life in first] == [31, 40, 50, 59]
    for before, after in pairwise(first):
        assert before[-1] - after[0] < INTERVAL
    assert [life[0] for life in second] == [0, first[2][0]]


def lives(losses: Path) -> list[list[int]]:
    """The iterations that a worker did, for each process that it was."""
    found = groupby(rows(losses), itemgetter("pid"))
    return [[row["iter"] for row in life] for _, life in found]
