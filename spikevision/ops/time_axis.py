"""The time axis of a spiking tensor: put it in, fold it into the batch, take it out."""

from __future__ import annotations

from torch import Tensor

from spikevision.ops.slots import count_slots


def repeat_time(x: Tensor, time_steps: int) -> Tensor:
    """Show the same tensor at every time step, without copying it.

    Args:
        x: ``[N, ...]``.
        time_steps: Number of time steps T, at least 1.

    Returns:
        ``[T, N, ...]``, an expanded view of ``x``.

    Raises:
        ValueError: If ``time_steps`` is less than 1.
    """
    if time_steps < 1:
        raise ValueError(f"time_steps must be at least 1, got {time_steps}")
    # in the order of memory, since a sum over time, the gradient of this, is laid out by the order of its axes
    order = _slowest_first(x)
    repeated = x.permute(order).expand(time_steps, *(x.shape[axis] for axis in order))
    return repeated.permute(0, *(1 + order.index(axis) for axis in range(x.ndim)))


def fold_time(x: Tensor) -> Tensor:
    """Fold time into the batch: ``[T, N, ...]`` to ``[T * N, ...]``.

    Raises:
        ValueError: If ``x`` has fewer than two dimensions.
    """
    if x.ndim < 2:
        raise ValueError(f"expected a tensor [T, N, ...], got shape {tuple(x.shape)}")
    return x.flatten(0, 1)


def unfold_time(x: Tensor, time_steps: int) -> Tensor:
    """Undo :func:`fold_time`: ``[T * N, ...]`` to ``[T, N, ...]``.

    Raises:
        ValueError: If the first dimension is not a multiple of ``time_steps``.
    """
    if time_steps < 1 or x.shape[0] % time_steps:
        raise ValueError(
            f"cannot unfold a first dimension of {x.shape[0]} into {time_steps} time steps; "
            "it must be a multiple of them"
        )
    return x.unflatten(0, (time_steps, -1))


def unfold_like(y: Tensor, x: Tensor) -> Tensor:
    """Give what stateless layers made of ``fold_time(x)`` the time axis of ``x``.

    Where spikes in slots went in and numbers came out, the slots are gone: ``[T, N, ...]`` from ``[S * T, N, ...]``.
    """
    return unfold_time(y, x.shape[0] * count_slots(y) // count_slots(x))


def mean_time(x: Tensor) -> Tensor:
    """Average over time: ``[T, N, ...]`` to ``[N, ...]``, a firing rate if ``x`` is spikes."""
    return x.mean(dim=0)


def firing_rate(spikes: Tensor) -> Tensor:
    """:func:`mean_time` of spikes, in their memory layout.

    Its gradient is one view for all time steps, where that of a mean is T copies.
    """
    order = _slowest_first(spikes[0])
    rate = spikes.permute(0, *(1 + axis for axis in order)).sum(dim=0).div_(len(spikes))
    return rate.permute([order.index(axis) for axis in range(rate.ndim)])


def _slowest_first(x: Tensor) -> list[int]:
    """Axes in the order of memory."""
    return sorted(range(x.ndim), key=x.stride().__getitem__, reverse=True)
