"""One Ray for all tests that need one: in a network that is loopback only where root allows, and gone afterwards."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from equal_runs import losses, weights
from tiny_training import CONFIG, SHALLOW, write_pictures

REPOSITORY = Path(__file__).parents[2]
HEAD = """
from spikevision.cluster.session import session
with session("local", cpus=4) as ray:
    from ray._private.worker import get_dashboard_url
    print(ray.get_runtime_context().gcs_address, get_dashboard_url(), flush=True)
    input()
"""


@pytest.fixture(scope="session")
def loopback() -> Iterator[list[str]]:
    """Words to put before a command so that it sees no network but loopback; none without root or iproute2."""
    name = f"spikevision_{os.getpid()}"
    if os.geteuid() or not shutil.which("ip"):
        yield []
        return
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield ["ip", "netns", "exec", name] if made else []
    if made:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(scope="session")
def ray_environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Environment of all commands that talk to the Ray of the tests."""
    folder = tempfile.mkdtemp(prefix="sv", dir="/tmp")  # Ray's sockets need short paths
    yield {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}:{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
        "RAY_TMPDIR": folder,
        "RAY_AUTH_TOKEN_PATH": str(tmp_path_factory.mktemp("secret") / "token"),
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
        "RAY_worker_niceness": "0",  # Ray's own 15 starves its processes on a busy machine
        "RAY_raylet_start_wait_time_s": "300",  # a busy machine
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_head(loopback, ray_environment) -> Iterator[SimpleNamespace]:
    """A Ray as ``--address local`` starts it; that it ends with its driver is checked at the end."""
    head = subprocess.Popen(
        [*loopback, sys.executable, "-c", HEAD],
        env=ray_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert head.stdout is not None
    found = (re.fullmatch(r"([\d.]+:\d+) ([\d.]+:\d+)", line.strip()) for line in head.stdout)
    address, dashboard = next(match.groups() for match in found if match)
    started = psutil.Process(head.pid).children(recursive=True)
    yield SimpleNamespace(address=address, dashboard=f"http://{dashboard}", pid=head.pid)
    head.communicate("\n", timeout=120)
    left = psutil.wait_procs(started, timeout=30)[1]
    for process in left:
        process.kill()
    assert not left, f"still running: {left}"
    assert head.returncode == 0


@pytest.fixture(scope="session")
def ray_address(ray_head) -> str:
    """Address of that Ray."""
    return str(ray_head.address)


@pytest.fixture(scope="session")
def spikevision(loopback):
    """Words that run the command line: ``run(spikevision("train", ...), env=ray_environment)``."""

    def command(*words: object) -> list[str]:
        return [*loopback, sys.executable, "-m", "spikevision.cli.main", *map(str, words)]

    return command


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def write_config(pictures):
    """Write the tiny training of a spiking network: 20 steps an epoch on two workers, a checkpoint every 7 steps."""

    def write(folder: Path) -> Path:
        hook = {"type": "Saboteur", "folder": str(folder)}
        text = CONFIG.format(root=pictures, imports=["saboteur"], hooks=[hook])
        text += (
            f"model = {SHALLOW!r}\n"
            "train_dataloader.update(dataset=dict(type='RepeatDataset', times=8,"
            " dataset=train_dataloader['dataset']))\n"
            "default_hooks['checkpoint'].update(by_epoch=False, interval=7, max_keep_ckpts=2)\n"
        )
        path = folder / "tiny.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def two_cpus(monkeypatch):
    """In the place of a session: a cluster of two CPUs with nothing wrong on its nodes."""

    @contextmanager
    def session(address, **settings):
        yield SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0})

    monkeypatch.setattr("spikevision.cluster.nodes.check_nodes", lambda ray, storage: None)
    return session


@pytest.fixture
def cluster_config(write_config, tmp_path) -> Path:
    return write_config(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(write_config, ray_environment, loopback, tmp_path_factory):
    """The same config on two processes of torchrun: its losses and final weights."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = subprocess.run(
        [
            *(*loopback, sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
            *("--master-addr=127.0.0.1", "--master-port=29617"),
            *("-m", "spikevision.cli.main", "train", str(write_config(folder))),
            *("--work-dir", str(folder / "runs"), "--launcher", "pytorch"),
        ],
        env=ray_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (final,) = folder.glob("runs/*/iter_60.pth")
    return SimpleNamespace(losses=[losses(folder, rank) for rank in (0, 1)], weights=weights(final))
