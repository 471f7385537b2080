"""Trained networks for use: folded, measured on this machine, exported as plain PyTorch, and run fast again.

An artefact is a folder with a ``torch.export`` program and a JSON card. The program consists of plain PyTorch operations
and needs nothing of this package; :func:`load` puts compiled neurons and the measured kernels in it.
"""

from spikevision.deploy.build import Build, build_artefact
from spikevision.deploy.card import CARD, is_artefact, read_card
from spikevision.deploy.equality import Equality, compare
from spikevision.deploy.runtime import Deployed, load
from spikevision.deploy.settings import DeploySettings

__all__ = [
    "CARD",
    "Build",
    "Deployed",
    "DeploySettings",
    "Equality",
    "build_artefact",
    "compare",
    "is_artefact",
    "load",
    "read_card",
]
