"""A deployed network in the place of a checkpoint: the exported program inside the ordinary mm model."""

import hashlib
import json
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS
from torch import Tensor, nn

from spikevision.deploy import CARD, is_artefact, load, read_card
from spikevision.jobs.weights import check_fits, load_weights, read_checkpoint, unwrapped

__all__ = ["REST", "check_network", "load_network", "network_of", "rest_of", "signature"]

REST = "rest.pth"  # weights of what is no part of the program: heads of detectors and segmenters


class Network(nn.Module):
    """The part of a model that becomes the program; its modules keep their names.

    Args:
        model: An mm model.
        with_head: Whether the head belongs to it (a classifier's, whose answer is logits).
    """

    def __init__(self, model: Any, *, with_head: bool) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck if getattr(model, "with_neck", False) else None
        self.head = model.head if with_head else None

    def forward(self, images: Tensor) -> Any:
        """Logits ``[N, classes]``, or the feature maps that the heads take."""
        features = self.backbone(images)
        if self.neck is not None:
            features = self.neck(features)
        return features if self.head is None else self.head(features)


class DeployedBackbone(nn.Module):
    """The program in the place of backbone and neck (and, of a classifier, of the head's weights).

    Args:
        program: A deployed network.
        time_steps: Number of time steps T.
    """

    def __init__(self, program: nn.Module, time_steps: int) -> None:
        super().__init__()
        self.program = program
        self.time_steps = time_steps

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the heads take, as a tuple."""
        answer = self.program(images)
        return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def network_of(model: Any, task: str) -> Network:
    """The part of a built model that is deployed."""
    return Network(model, with_head=task == "classification").eval()


def rest_of(model: nn.Module, task: str) -> dict[str, Tensor]:
    """Weights of the part that stays an ordinary module."""
    if task == "classification":
        return {}
    return {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith(("backbone.", "neck."))
    }


def signature(model: nn.Module) -> str:
    """Hash of the names and shapes of a model's weights and of its time steps."""
    shapes = {name: list(value.shape) for name, value in unwrapped(model).state_dict().items()}
    steps = getattr(getattr(unwrapped(model), "backbone", None), "time_steps", None)
    return hashlib.sha256(json.dumps([shapes, steps]).encode()).hexdigest()[:16]


def check_network(path: str | Path) -> None:
    """Refuse early what :func:`load_network` would refuse without looking at the model.

    Raises:
        FileNotFoundError: Neither a checkpoint nor an artefact is there.
        ValueError: It cannot be read.
    """
    if is_artefact(path):
        read_card(path)
    elif Path(path).is_dir():
        raise FileNotFoundError(
            f"the folder {str(path)!r} has no {CARD}: give a checkpoint, or a folder that `spikevision deploy` wrote"
        )
    else:
        read_checkpoint(path)


def load_network(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint into a model, or put a deployed network into it.

    Args:
        model: Model that was built from the config.
        path: A checkpoint, or the folder that ``spikevision deploy`` wrote.

    Returns:
        The checkpoint; of an artefact what it has of one, the names of the classes.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It cannot be read, or is of another model.
    """
    return (
        _install(unwrapped(model), Path(path)) if is_artefact(path) else load_weights(model, path)
    )


def _install(model: Any, folder: Path) -> dict[str, Any]:
    name = signature(model)
    program = load(folder)
    card = program.card
    if card["model"] != name:
        raise ValueError(
            f"{str(folder)!r} was deployed from another model than the config's (config {card['config']!r}, "
            f"T={card['time_steps']}): use that config and its options"
        )
    wanted = rest_of(model, card["task"])
    if wanted:
        rest = read_checkpoint(folder / REST)
        others = {n: value for n, value in model.state_dict().items() if n not in wanted}
        check_fits(model, {**others, **rest}, path=folder / REST)
        model.load_state_dict(rest, strict=False)
    model.backbone = DeployedBackbone(program, card["time_steps"])
    if getattr(model, "with_neck", False):
        model.neck = None
    if card["task"] == "classification":
        head = dict(type="spikevision.LogitsHead", num_classes=len(card["classes"]))
        model.head = MODELS.build(head)
    model.eval()
    return {"meta": {"dataset_meta": {"classes": card["classes"]}}}
