"""Answer ``import mmcv._ext`` and ``import pkg_resources`` where the environment does not."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["EXTENSION", "ORIGIN", "StandInFinder", "install"]

EXTENSION = "mmcv._ext"
ORIGIN = "spikevision.compat"


def _operators() -> Mapping[str, Any]:
    """Contents of ``mmcv._ext``; loads torch and torchvision, which mmcv has done already."""
    from spikevision.compat import extension, missing

    return {**extension.OPERATORS, "__getattr__": missing.missing_operator}


def _distributions() -> Mapping[str, Any]:
    """Contents of ``pkg_resources``."""
    from spikevision.compat import distributions

    return distributions.STAND_IN


STAND_INS: dict[str, Callable[[], Mapping[str, Any]]] = {
    EXTENSION: _operators,
    "pkg_resources": _distributions,
}


class StandInLoader:
    """Fills a module with the contents of its stand-in when it is imported, not before."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Ask for an ordinary module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the stand-in's names into the module."""
        vars(module).update(STAND_INS[module.__name__]())


class StandInFinder:
    """Finds the modules of ``STAND_INS`` and nothing else. It belongs at the end of ``sys.meta_path``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of our stand-in, None for a name that has none."""
        if fullname not in STAND_INS:
            return None
        # not a subclass of importlib.abc.Loader: importing that costs more than all of spikevision
        return ModuleSpec(fullname, StandInLoader(), origin=ORIGIN)  # type: ignore[arg-type]


def install() -> None:
    """Put one :class:`StandInFinder` at the end of ``sys.meta_path``; a second call changes nothing.

    Every other finder is asked first, so a module that exists on disk wins.
    """
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder())
