"""Fixtures around the tiny training."""

from pathlib import Path

import pytest
from tiny_training import CONFIG, SPIKING, write_pictures

from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> Path:
    """Config of the tiny training; 5 batches an epoch."""
    path = tmp_path / "tiny.py"
    path.write_text(CONFIG.format(root=pictures, imports=[], hooks=[]))
    return path


@pytest.fixture
def spec(config: Path, tmp_path: Path):
    """Make a spec of the tiny training in its own folder."""

    def make(folder: str = "runs", **kwargs) -> RunSpec:
        return RunSpec(config=str(config), work_dir=str(tmp_path / folder), **kwargs)

    return make


@pytest.fixture
def spiking_spec(spec):
    """Make a spec of the tiny training of a spiking network."""

    def make(folder: str = "runs", *, cfg_options: dict | None = None, **kwargs) -> RunSpec:
        return spec(folder, cfg_options={"model": SPIKING, **(cfg_options or {})}, **kwargs)

    return make


@pytest.fixture(scope="session")
def spiking_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the spiking network after one epoch."""
    folder = tmp_path_factory.mktemp("spiking")
    config = folder / "tiny.py"
    config.write_text(CONFIG.format(root=write_pictures(folder / "data"), imports=[], hooks=[]))
    options = {"model": SPIKING, "train_cfg.max_epochs": 1}
    spec = RunSpec(config=str(config), work_dir=str(folder / "runs"), cfg_options=options)
    return str(train(spec).checkpoint)
