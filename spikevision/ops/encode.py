"""Encoding: how images and event frames get a time axis."""

from __future__ import annotations

from torch import Tensor

from spikevision.ops.time_axis import repeat_time


def encode_direct(x: Tensor, time_steps: int) -> Tensor:
    """Give an input its time axis: a still image is repeated, event frames are reordered.

    Args:
        x: Images ``[N, C, H, W]`` or event frames ``[N, T, C, H, W]``.
        time_steps: Number of time steps T.

    Returns:
        ``[T, N, C, H, W]``, a view of ``x``.

    Raises:
        ValueError: If ``x`` has another number of dimensions, or event frames another T.
    """
    if x.ndim == 4:
        return repeat_time(x, time_steps)
    if x.ndim != 5:
        raise ValueError(
            "expected images [N, C, H, W] or event frames [N, T, C, H, W], "
            f"got shape {tuple(x.shape)}"
        )
    if x.shape[1] != time_steps:
        raise ValueError(
            f"event frames of shape {tuple(x.shape)} hold {x.shape[1]} time steps, but the model "
            f"runs {time_steps}; set time_steps={x.shape[1]} or cut the events into {time_steps}"
        )
    return x.transpose(0, 1)
