"""Which functions commute with the running mean, by name; all others need a handler.

A name stands for a function of ``torch``, of ``torch.nn.functional`` and for a method of ``Tensor`` alike, in place
or not: ``torch.add``, ``x.add(y)``, ``x += y`` and ``x.add_(y)`` are all ``add``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spikevision.conversion.stream import Current, Stream

__all__ = ["affine_current", "changes_in_place", "function_name", "is_affine"]


def _words(text: str) -> set[str]:
    return set(text.split())


OPERATORS = {"truediv": "div", "itruediv": "div", "rtruediv": "rdiv", "rpow": "rpow"}
OPERATORS |= {f"{side}{name}": name for side in "ri" for name in ("add", "mul")}
OPERATORS |= {"isub": "sub", "rmatmul": "rmatmul"}

QUESTIONS = _words(
    "size dim ndimension numel stride is_contiguous is_floating_point is_complex get_device "
    "type len repr format hash element_size storage_offset data_ptr is_shared nelement "
    "has_names is_set_to"
)
FRESH = _words(
    "new_zeros new_ones new_full new_empty new_tensor zeros_like ones_like full_like empty_like "
    "rand_like randn_like _shape_as_tensor"
)
# move values about, or scale and shift them one by one: spikes stay spikes
MOVES = _words(
    "view view_as reshape reshape_as flatten unflatten permute transpose swapaxes swapdims "
    "movedim moveaxis t adjoint squeeze unsqueeze expand expand_as broadcast_to repeat "
    "repeat_interleave tile contiguous clone detach to float double half bfloat16 cpu cuda "
    "chunk split split_with_sizes tensor_split hsplit vsplit unbind narrow select getitem "
    "index_select gather take_along_dim roll flip rot90 pad cat concat stack unfold fold "
    "pixel_shuffle pixel_unshuffle channel_shuffle masked_fill dropout alpha_dropout "
    "feature_dropout dropout1d dropout2d dropout3d neg negative positive batch_norm "
    "requires_grad requires_grad_ as_strided diagonal atleast_1d broadcast_tensors "
    "type_as"
)
WRITES = {"setitem", "copy", "index_put", "scatter", "index_copy"}  # into a stream only
ELEMENTWISE = {"mul", "multiply", "div", "divide", "true_divide"}  # of one stream and constants
SUMS = _words(
    "add sub subtract rsub mean sum cumsum lerp interpolate upsample grid_sample avg_pool1d "
    "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d addcmul "
    "nanmean"
)
WEIGHTED = _words(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d matmul "
    "rmatmul mm bmm addmm baddbmm einsum tensordot dot mv"
)
KEEP_AXIS = {"contiguous", "clone", "detach", "to", "dropout", "neg", "batch_norm"} | ELEMENTWISE
KEEP_AXIS |= {"add", "sub", "masked_fill"}


def function_name(func: Callable) -> str:
    """Name under which a function is looked up here and in the handler table."""
    name = getattr(func, "__name__", str(func))
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
        return OPERATORS.get(name, name)
    return name.rstrip("_")


def changes_in_place(func: Callable, kwargs: dict[str, Any]) -> bool:
    """Whether a call leaves its result in its first argument: ``x.mul_(2)``, ``x *= 2``, ``relu(x, inplace=True)``."""
    name = getattr(func, "__name__", "")
    if name.startswith("__"):
        return name in {"__iadd__", "__isub__", "__imul__", "__itruediv__"}
    return name.endswith("_") or kwargs.get("inplace") is True


def is_affine(name: str, args: tuple, kwargs: dict[str, Any], streams: list[Stream]) -> bool:
    """Whether a call is an affine function of its streams together."""
    varying = sum(stream.current is not Current.DIRECT for stream in streams)
    if name == "batch_norm":
        return not (args[5] if len(args) > 5 else kwargs.get("training", False))
    if name.endswith("dropout") or name in {"dropout1d", "dropout2d", "dropout3d"}:
        return _is_off(args, kwargs)
    if name in {"div", "divide", "true_divide"}:
        rounding = kwargs.get("rounding_mode")
        return rounding is None and not (len(args) > 1 and _varies(args[1]))
    if name == "interpolate":
        return True  # every mode is linear in the values
    if name == "where":
        return not _varies(args[0])
    if name in WRITES:
        return isinstance(args[0], Stream)
    if name in ELEMENTWISE | WEIGHTED | {"lerp", "addcmul", "grid_sample"}:
        return varying <= 1
    return name in MOVES | SUMS


def _is_off(args: tuple, kwargs: dict[str, Any]) -> bool:
    probability = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
    training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
    return probability == 0 or not training


def _varies(value: Any) -> bool:
    return isinstance(value, Stream) and value.current is not Current.DIRECT


def affine_current(name: str, streams: list[Stream]) -> tuple[Current, int | None]:
    """What flows out of an affine function, and the axis of its channels."""
    currents = {stream.current for stream in streams}
    axis = streams[0].channel_axis if name in KEEP_AXIS else None
    if name.startswith("conv"):
        axis = 1
    elif name in {"linear", "matmul"}:
        axis = -1
    if currents == {Current.DIRECT}:
        return Current.DIRECT, axis
    of_one = name in {"add", "sub"} and len(streams) == 1
    keeps_spikes = name in MOVES | ELEMENTWISE or of_one
    return (
        Current.SPIKES if keeps_spikes and currents == {Current.SPIKES} else Current.ANALOG
    ), axis
