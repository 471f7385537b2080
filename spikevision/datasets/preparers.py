"""The data sets that ``spikevision prepare`` knows."""

from collections.abc import Callable
from pathlib import Path

from spikevision.datasets.composite import prepare_composite
from spikevision.datasets.digits import prepare_digits
from spikevision.datasets.fashion_mnist import prepare_fashion_mnist
from spikevision.datasets.microscopy import prepare_microscopy

PREPARERS: dict[str, Callable[[str | Path], Path]] = {
    "composite-digits": prepare_composite,
    "fashion-mnist": prepare_fashion_mnist,
    "mnist-5k": prepare_digits,
    "scratch-assay": prepare_microscopy,
}


def prepare(name: str, *, root: str | Path = "data") -> Path:
    """Prepare a data set by name and give its folder.

    Raises:
        ValueError: No set has this name; lists the known ones.
    """
    if name not in PREPARERS:
        raise ValueError(
            f"no data set is called {name!r}; known are {', '.join(sorted(PREPARERS))}"
        )
    return PREPARERS[name](root)
