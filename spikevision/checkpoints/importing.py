"""Turn an official checkpoint file into one that any spikevision config loads."""

from os import PathLike
from typing import Any

import torch
from torch import Tensor

from spikevision.backbones import ESpikeFormer, MetaSpikeFormer, Spikformer
from spikevision.checkpoints.official import convert_official, detect_family, unwrap
from spikevision.compat.checkpoint import safe_load
from spikevision.heads.classification import build_classifier

__all__ = ["import_official"]

MAX_LISTED_KEYS = 20
# what the architecture is built from, before all other keys are compared with it
NEEDED = {
    "head.fc.weight": "classifier (head.weight)",
    "backbone.stem.conv.weight": "first convolution",
}


def import_official(
    path: str | PathLike, arch: str, *, family: str | None = None
) -> dict[str, Any]:
    """Read official weights, rename them, and check every one against the architecture.

    Args:
        path: Checkpoint as its authors published it.
        arch: Architecture name, such as ``55m`` or ``8-512``.
        family: A key of ``FAMILIES``; None tells it from the keys.

    Returns:
        ``dict(state_dict=..., meta=...)`` for ``torch.save``; the names are those of a spikevision classifier, so
        that ``load_from`` and ``init_cfg=dict(type='Pretrained', prefix='backbone.')`` work.

    Raises:
        ValueError: If the file cannot be read safely, or keys or shapes do not fit; the message lists them.
    """
    official = unwrap(safe_load(path))
    family = family or detect_family(official)
    weights = convert_official(official, family)
    for name, official_name in NEEDED.items():
        if name not in weights:
            raise ValueError(
                f"the checkpoint has no {official_name}: official classifiers hold one"
            )
    expected = _expected_shapes(family, arch, weights)
    _check(weights, expected, f"{family} {arch}")
    return dict(state_dict=weights, meta=dict(family=family, arch=arch, source="official weights"))


def _expected_shapes(family: str, arch: str, weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    classes = {"meta-spikeformer": MetaSpikeFormer, "e-spikeformer": ESpikeFormer}
    built = classes.get(family, Spikformer)
    if arch not in built.ARCHS:
        raise ValueError(f"unknown arch {arch!r} of {family}; known are {list(built.ARCHS)}")
    backbone: dict[str, Any] = dict(type=built.__name__, arch=arch)
    if built is Spikformer:
        backbone["variant"] = family.removeprefix("spikformer-")
    backbone["in_channels"] = weights["backbone.stem.conv.weight"].shape[1]
    with torch.device("meta"):
        model = build_classifier(
            backbone,
            num_classes=len(weights["head.fc.weight"]),
            distillation_head="head.fc_distillation.weight" in weights,
        )
    return {key: value.shape for key, value in model.state_dict().items()}


def _check(weights: dict[str, Tensor], expected: dict[str, torch.Size], name: str) -> None:
    problems = [f"missing {key}" for key in expected.keys() - weights.keys()]
    problems += [f"unexpected {key}" for key in weights.keys() - expected.keys()]
    problems += [
        f"{key} is {tuple(weights[key].shape)}, should be {tuple(expected[key])}"
        for key in expected.keys() & weights.keys()
        if weights[key].shape != expected[key]
    ]
    if problems:
        listed = "\n  ".join(sorted(problems)[:MAX_LISTED_KEYS])
        more = (
            f"\n  and {len(problems) - MAX_LISTED_KEYS} more"
            if len(problems) > MAX_LISTED_KEYS
            else ""
        )
        raise ValueError(
            f"the weights do not fit {name} ({len(problems)} problems):\n  {listed}{more}"
        )
