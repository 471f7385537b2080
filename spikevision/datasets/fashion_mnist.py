"""Fashion-MNIST as the four IDX files that mmpretrain's ``FashionMNIST`` reads: 60,000 + 10,000 grey 28x28 pictures.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747 (MIT). Debian carries the original files in its package dataset-fashion-mnist.
"""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

from spikevision.datasets.debian import fetch_debian, open_debian
from spikevision.datasets.scene_folder import prepare_folder

__all__ = ["prepare_fashion_mnist"]

NAME = "fashion-mnist"
PACKAGE = "dataset-fashion-mnist"
PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # where `apt install` puts the files
FILES = {  # name -> sha256 of the unpacked file
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def prepare_fashion_mnist(root: str | Path = "data", *, cache: str | Path | None = None) -> Path:
    """Write ``<root>/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte``.

    Takes the files from where ``apt install dataset-fashion-mnist`` puts them or from the cache folder (the four files,
    packed or not, or Debian's package), else downloads that package with ``apt-get download``, which needs no root. Does
    nothing when the folder is complete.

    Args:
        root: Folder for data sets.
        cache: Folder that keeps the package; None takes ``<root>/.cache``.

    Returns:
        The folder of the set.

    Raises:
        ValueError: The folder exists but was not made by this function, or a file is not the published one.
        OSError: The data cannot be fetched or written.
    """
    cache = Path(cache or Path(root) / ".cache")

    def write(folder: Path) -> None:
        for name, content in _original_files(cache):
            if hashlib.sha256(content).hexdigest() != FILES[name]:
                raise ValueError(f"{name} is not the file of Fashion-MNIST: remove it, run again")
            (folder / name).write_bytes(content)

    return prepare_folder(Path(root) / NAME, {"name": NAME, "sha256": FILES}, write)


def _original_files(cache: Path) -> Iterator[tuple[str, bytes]]:
    """Name and unpacked content of each file."""
    for folder in (cache, INSTALLED):
        found = {name: next(folder.glob(f"{name}*"), None) for name in FILES}
        if all(found.values()):
            for name, path in found.items():
                assert path is not None
                content = path.read_bytes()
                yield name, gzip.decompress(content) if path.suffix == ".gz" else content
            return
    with open_debian(fetch_debian(PACKAGE, PACKAGE_SHA256, cache=cache)) as archive:
        for name in FILES:
            member = archive.extractfile(f".{INSTALLED}/{name}.gz")
            assert member is not None
            yield name, gzip.decompress(member.read())
