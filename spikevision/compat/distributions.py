"""A stand-in for ``pkg_resources``, which setuptools dropped in version 81 and mmengine 0.10.7 still asks.

mmengine looks up an installed package with it whenever a config inherits ``mmdet::...``. This module answers those
questions from :mod:`importlib.metadata`; where setuptools still has the real one, that one is found first.
"""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["STAND_IN", "Distribution", "DistributionNotFound", "get_distribution"]


class DistributionNotFound(Exception):  # noqa: N818 - the name that mmengine catches
    """No distribution of that name is installed."""


class Distribution:
    """What mmengine asks of an installed distribution.

    Args:
        name: Name of the distribution, as pip knows it.

    Raises:
        DistributionNotFound: If it is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            self._metadata = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise DistributionNotFound(f"the distribution {name!r} is not installed") from error
        self.project_name = self._metadata.metadata["Name"]
        self.version = self._metadata.version

    @property
    def location(self) -> str:
        """Folder that holds the importable package; the source tree for an editable install."""
        module = (self.get_metadata("top_level.txt") or self.project_name).split()[0]
        spec = find_spec(module.replace("-", "_"))
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).parent.parent)
        return str(self._metadata.locate_file(""))

    def has_metadata(self, name: str) -> bool:
        """Whether the distribution carries the metadata file ``name``."""
        return self._metadata.read_text(name) is not None

    def get_metadata(self, name: str) -> str:
        """Text of the metadata file ``name``, empty if there is none."""
        return self._metadata.read_text(name) or ""


def get_distribution(name: str) -> Distribution:
    """Return the installed distribution ``name``; raise :class:`DistributionNotFound` if there is none."""
    return Distribution(name)


def _refuse(name: str) -> NoReturn:
    """Say what to do about the rest of ``pkg_resources``; an ImportError, so that those with a fallback take it."""
    if name.startswith("_"):
        raise AttributeError(f"module 'pkg_resources' has no attribute {name!r}")
    raise ImportError(
        f"setuptools >= 81 has no pkg_resources, and spikevision's stand-in for mmengine has no {name!r}; "
        "install 'setuptools<81' if something needs it"
    )


STAND_IN: dict[str, Any] = {
    "Distribution": Distribution,
    "DistributionNotFound": DistributionNotFound,
    "get_distribution": get_distribution,
    "__getattr__": _refuse,
}
