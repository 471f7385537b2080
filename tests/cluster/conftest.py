"""Ray of our own for tests: in a network that is loopback only where root allows, and gone afterwards."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tiny_training import CONFIG, write_pictures

REPOSITORY = Path(__file__).parents[2]


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


@pytest.fixture
def ray_environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment for commands that start Ray; whatever they leave behind is ended, and is a failure."""
    folder = tempfile.mkdtemp(prefix="sv", dir="/tmp")  # Ray's sockets need short paths
    yield {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}:{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
        "RAY_TMPDIR": folder,
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
        "SABOTEUR_FOLDER": str(tmp_path),
    }
    left = processes_of(folder)
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"still running: {left}"


def processes_of(folder: str) -> list[psutil.Process]:
    """Processes of the Ray that has its files in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == folder and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return psutil.wait_procs(found, timeout=10)[1]


@pytest.fixture
def spikevision(loopback, ray_environment):
    """Words and environment that run the command line: ``Popen(spikevision("train", ...), env=...)``."""

    def command(*words: object) -> list[str]:
        return [*loopback, sys.executable, "-m", "spikevision.cli.main", *map(str, words)]

    return command


@pytest.fixture
def cluster_config(tmp_path: Path) -> Path:
    """The tiny training of a spiking network, 20 steps an epoch on two workers, a checkpoint every 7 steps."""
    from tiny_training import SPIKING

    write_pictures(tmp_path / "data")
    model = {key: value for key, value in SPIKING.items() if key != "_delete_"}
    text = CONFIG.format(
        root=tmp_path / "data",
        imports=["saboteur"],
        hooks=[{"type": "Saboteur", "folder": str(tmp_path)}],
    )
    text += (
        f"model = {model!r}\n"
        "train_dataloader.update(dataset=dict(type='RepeatDataset', times=8,"
        " dataset=train_dataloader['dataset']))\n"
        "default_hooks['checkpoint'].update(by_epoch=False, interval=7, max_keep_ckpts=2)\n"
    )
    path = tmp_path / "tiny.py"
    path.write_text(text)
    return path


@pytest.fixture
def storage_folder() -> Iterator[str]:
    """A folder in which nothing of another test is."""
    with tempfile.TemporaryDirectory(prefix=f"runs_{secrets.token_hex(2)}") as folder:
        yield folder
