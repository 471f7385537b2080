"""Read an official checkpoint, rename its keys, and check that nothing is missing and nothing is left over."""

from collections.abc import Mapping

from torch import Tensor

from spikevision.checkpoints.e_spikeformer import E_SPIKEFORMER
from spikevision.checkpoints.key_map import KeyMap
from spikevision.checkpoints.meta_spikeformer import META_SPIKEFORMER
from spikevision.checkpoints.spikformer import (
    SPIKFORMER_CIFAR,
    SPIKFORMER_EVENT,
    SPIKFORMER_IMAGENET,
)

__all__ = ["FAMILIES", "convert_official", "detect_family", "unwrap"]

FAMILIES: dict[str, KeyMap] = {
    "meta-spikeformer": META_SPIKEFORMER,
    "e-spikeformer": E_SPIKEFORMER,
    "spikformer-event": SPIKFORMER_EVENT,
    "spikformer-imagenet": SPIKFORMER_IMAGENET,
    "spikformer-cifar": SPIKFORMER_CIFAR,
}
CONTAINERS = ("state_dict", "model", "model_state_dict")
WRAPPERS = ("module.", "backbone.")


def unwrap(checkpoint: Mapping) -> dict[str, Tensor]:
    """Weights of an official file: out of their container, without the prefixes of wrappers.

    Raises:
        ValueError: If the file holds no weights.
    """
    inner = next(
        (checkpoint[key] for key in CONTAINERS if isinstance(checkpoint.get(key), Mapping)),
        checkpoint,
    )
    weights = {key: value for key, value in inner.items() if isinstance(value, Tensor)}
    if not weights:
        raise ValueError(
            f"no weights found: expected a state dict, alone or under one of {list(CONTAINERS)}; got the keys {list(checkpoint)[:8]}"
        )
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def detect_family(state_dict: Mapping[str, Tensor]) -> str:
    """Name of the family that the official keys belong to.

    Raises:
        ValueError: If no family has such keys.
    """
    for family, key_map in FAMILIES.items():
        if key_map.signature <= state_dict.keys():
            return family
    raise ValueError(
        f"these keys belong to none of the families {list(FAMILIES)}: {sorted(state_dict)[:5]} ..."
    )


def convert_official(state_dict: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Official weights under the names of :func:`spikevision.testing.build_classifier`'s classifier.

    Dead weights are dropped. A 1x1 convolution has the same numbers as a Conv1d or a Linear layer, so those are
    reshaped to ``[O, I, 1, 1]``.

    Args:
        state_dict: Official names -> tensors (see :func:`unwrap` for files).
        family: A key of ``FAMILIES``.

    Returns:
        Our names -> tensors.

    Raises:
        ValueError: If the family is unknown, or if there is a key that the family does not have (lists them).
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known are {list(FAMILIES)}")
    key_map = FAMILIES[family]
    live = {key: value for key, value in state_dict.items() if not key_map.is_dead(key)}
    names = {key: key_map.rename(key) for key in live}
    unknown = sorted(key for key, name in names.items() if name is None)
    if unknown:
        raise ValueError(f"{len(unknown)} keys that {family} does not have: {', '.join(unknown)}")
    return {name: _as_conv(name, live[key]) for key, name in names.items() if name}


def _as_conv(name: str, tensor: Tensor) -> Tensor:
    is_matrix = name.startswith("backbone.") and name.endswith(".weight") and tensor.dim() in (2, 3)
    return tensor.reshape(*tensor.shape[:2], 1, 1) if is_matrix else tensor
