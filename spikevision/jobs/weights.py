"""Weights into a model, exactly or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from mmengine.model import is_model_wrapper
from mmengine.runner import load_state_dict
from torch import Tensor, nn

from spikevision.compat.checkpoint import safe_load

SHOWN = 5
TRAINING_STATE = ("state_dict", "optimizer", "message_hub", "meta")


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint's weights into a model; every key has to fit.

    Args:
        model: Built model.
        path: Checkpoint of mmengine, or a bare state dict.

    Returns:
        The whole checkpoint.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is no readable, harmless checkpoint, or its weights are of another model.
    """
    checkpoint = read_checkpoint(path)
    state = _unprefixed(checkpoint.get("state_dict", checkpoint))
    if hasattr(
        unwrapped(model), "adopt"
    ):  # a converted network takes its shape from its checkpoint
        cast(Any, unwrapped(model)).adopt(state)
    check_fits(model, state, path=path)
    load_state_dict(unwrapped(model), state, strict=True)
    return checkpoint


def check_resumable(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Read a checkpoint and make sure that training of this model can go on from it.

    mmengine itself loads with ``strict=False`` when it resumes: a checkpoint of another model would pass.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Unreadable, without training state, or of another model.
    """
    checkpoint = read_checkpoint(path)
    missing = [key for key in TRAINING_STATE if key not in checkpoint]
    if missing:
        raise ValueError(
            f"cannot resume from {str(path)!r}: it holds no {', '.join(missing)}. To start a new run from its "
            f"weights set --cfg-options load_from={path}"
        )
    check_fits(model, checkpoint["state_dict"], path=path)
    return checkpoint


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint safely (:func:`spikevision.compat.checkpoint.safe_load`)."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {str(path)!r} does not exist")
    checkpoint = safe_load(path)
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{str(path)!r} is no checkpoint: it holds a {type(checkpoint).__name__}")
    return checkpoint


def check_fits(
    model: nn.Module, state: Mapping[str, Any], *, path: str | Path, may_miss: str | None = None
) -> None:
    """Compare names and shapes of a state dict with a model's.

    Args:
        model: The model.
        state: The state dict.
        path: Where it comes from, for the error.
        may_miss: Prefix of weights that may be missing, all of them or none.

    Raises:
        ValueError: They differ; lists the first few missing, unexpected and differently shaped weights.
    """
    own = unwrapped(model).state_dict()
    given = _unprefixed(state)
    missing = [name for name in own if name not in given and "num_batches_tracked" not in name]
    optional = [name for name in own if may_miss and name.startswith(may_miss)]
    if not any(name in given for name in optional):
        missing = [name for name in missing if name not in optional]
    unexpected = [name for name in given if name not in own]
    sizes = [
        f"{name} {_shape(given[name])} instead of {_shape(own[name])}"
        for name in own
        if name in given and _shape(given[name]) != _shape(own[name])
    ]
    parts = {"missing": missing, "unexpected": unexpected, "of another size": sizes}
    if any(parts.values()):
        lists = "; ".join(
            f"{len(names)} {kind}: {_few(names)}" for kind, names in parts.items() if names
        )
        raise ValueError(f"checkpoint {str(path)!r} is of another model than the config: {lists}")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model


def network_of(model: nn.Module) -> nn.Module:
    """The network with its heads: inside a distributed wrapper, and of a converted one the ANN."""
    model = unwrapped(model)
    return getattr(model, "ann", model)


def _unprefixed(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict without the prefix that a distributed wrapper leaves."""
    return {name.removeprefix("module."): value for name, value in state.items()}


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
