"""Fields of ours at the top of any config: ``time_steps`` and ``init_from``; ``conversion`` is read by its job.

``time_steps = 4`` sets T of the network's backbone, wherever it stands. ``init_from = CHECKPOINT`` starts training from
weights of the same network, trained at any T (no weight depends on it), and refuses those of another network.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS

from spikevision.jobs.run_dir import last_checkpoint
from spikevision.jobs.weights import check_fits, read_checkpoint

FIELDS = ("conversion", "init_from", "time_steps", "deploy_cfg")
DISTILLATION_HEAD = "head.fc_distillation."  # the one part that may start untrained


def set_time_steps(config: Config) -> None:
    """Carry ``time_steps``, where the config has it, to every spiking backbone of its model; not to a teacher's.

    Raises:
        ValueError: The model has no spiking backbone.
    """
    time_steps = config.get("time_steps")
    if time_steps is None:
        return
    backbones = [
        backbone
        for backbone in _backbones(config.get("model") or {})
        if "time_steps" in backbone or str(backbone.get("type")).startswith("spikevision.")
    ]
    if not backbones:
        raise ValueError(f"time_steps={time_steps} is set, but the model has no spiking backbone")
    for backbone in backbones:
        backbone["time_steps"] = time_steps


def _backbones(node: Any) -> Iterator[Any]:
    """All dicts under the name ``backbone``, but none of a teacher."""
    for name, value in node.items() if isinstance(node, Mapping) else ():
        if name == "backbone":
            yield value
        elif name != "teacher":
            yield from _backbones(value)


def start_from_weights(config: Config) -> None:
    """Make mmengine load the weights of ``init_from``, where the config has it, once they are known to fit.

    A distillation head may be missing in them: it starts untrained, as in the published recipe.

    Raises:
        FileNotFoundError: There is no such checkpoint, or no checkpoint in that run folder.
        ValueError: It is of another network, or ``load_from`` is set as well.
    """
    source = config.get("init_from")
    if not source:
        return
    if config.get("load_from"):
        raise ValueError(
            f"init_from={source!r} and load_from={config.load_from!r} are both set: keep init_from, which checks the "
            "weights"
        )
    path: Path | None = Path(source)
    if path is not None and path.is_dir():
        path = last_checkpoint(path)
    if path is None:
        raise FileNotFoundError(f"init_from: the run folder {source!r} holds no checkpoint")
    checkpoint = read_checkpoint(path)
    state = checkpoint.get("state_dict", checkpoint)
    check_fits(MODELS.build(config.model), state, path=path, may_miss=DISTILLATION_HEAD)
    config.load_from = str(path)
