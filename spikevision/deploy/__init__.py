"""Trained networks for use: folded, measured on this machine, exported as plain PyTorch, and run fast again.

An artefact is a folder with a ``torch.export`` program and a JSON card. The program consists of plain PyTorch operations
and needs nothing of this package; :func:`load` puts compiled neurons and the measured kernels in it.
"""

from spikevision.deploy.build import Plan, build_artefact, fold_and_choose
from spikevision.deploy.card import CARD, is_artefact, read_card
from spikevision.deploy.equality import Equality, compare
from spikevision.deploy.runtime import Deployed, load
from spikevision.deploy.settings import DeploySettings

__all__ = [
    "CARD",
    "Deployed",
    "DeploySettings",
    "Equality",
    "Plan",
    "build_artefact",
    "compare",
    "fold_and_choose",
    "is_artefact",
    "load",
    "read_card",
]
