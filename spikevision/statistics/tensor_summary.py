"""What the recorder needs to know of one tensor, taken in one pass and shared by all that read the tensor.

All sums are of whole numbers, so they are exact in any order. The tensor is read as it lies in memory, without a copy:
evaluation is bound by memory, and so is this.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from spikevision.ops.counting import (
    LARGEST_INTEGER,
    Kind,
    SpikeCounts,
    count_channels,
    exact_sum,
)

__all__ = ["LARGEST_INTEGER", "Kind", "SummaryCache", "TensorSummary"]

SAMPLE = 256  # values looked at before a tensor is read in full


class TensorSummary:
    """Kind and sums of one tensor, read as it lies in memory: channels first or channels last.

    Args:
        x: ``[B, C, ...]``, or ``[..., C]`` if ``channels_last``; B (of ``[..., C]`` the first axis) is a multiple of
            ``time_steps``. It is not kept.
        time_steps: T.
        channels_last: Whether the last axis is the channel.
        binary: Whether the values are known to be 0 and 1; else all of them are checked.
        counts: What the neuron counted while it fired ``x``; then nothing is read.
    """

    def __init__(
        self,
        x: Tensor,
        *,
        time_steps: int,
        channels_last: bool = False,
        binary: bool = False,
        counts: SpikeCounts | None = None,
    ) -> None:
        self.time_steps = time_steps
        self.per_channel: Tensor | None = None  # [T, C], float64
        self._per_step: list[int] | None = None
        self._per_row: Tensor | None = None
        self._planes: dict[tuple, Tensor] = {}  # by shape and strides
        if counts is not None:
            self.kind, self.per_channel, self._per_row = Kind.BINARY, *counts
            return
        matrix, rows_are_channels = _matrix(x, channels_last=channels_last)
        known = binary and not x.is_meta
        self.kind = Kind.BINARY if known else _sampled_kind(matrix.view(-1))
        if self.kind is Kind.REAL:
            return
        self.per_channel, kind = count_channels(
            matrix,
            time_steps=time_steps,
            channels=x.shape[1] if rows_are_channels else None,
            checked=not known,
        )
        self.kind = max(self.kind, kind)

    def per_step(self) -> list[int]:
        """Spikes at each time step."""
        assert self.per_channel is not None
        if self._per_step is None:
            self._per_step = [int(value) for value in self.per_channel.sum(1).tolist()]
        return list(self._per_step)

    def plane(self, x: Tensor) -> Tensor:
        """Spikes at each position, summed over N and C: ``[T, positions]``, float64.

        Args:
            x: The tensor that was summarised, as ``[B, C, ...]``.
        """
        positions, key = x[0, 0].numel(), (x.shape, x.stride())
        if key not in self._planes:
            matrix, rows_are_channels = _matrix(x, channels_last=False)
            if rows_are_channels:
                plane = exact_sum(matrix.view(self.time_steps, -1, positions), 1)
            else:
                counted = self._per_row is not None and self._per_row.numel() == len(matrix)
                rows = self._per_row if counted else exact_sum(matrix, 1)
                assert rows is not None
                plane = rows.view(self.time_steps, -1, positions).sum(1)
            self._planes[key] = plane
        return self._planes[key]


class SummaryCache:
    """Summaries of tensors that are still alive and unchanged, so that each is read once per forward pass."""

    def __init__(self) -> None:
        self._known: dict[tuple, tuple[StorageWeakRef, TensorSummary]] = {}

    def summarise(self, x: Tensor, *, time_steps: int, **settings: Any) -> TensorSummary:
        """Summary of a tensor; of a view of one that was read before, that one's. Takes what the summary takes."""
        if not (_fills_its_storage(x) and (time_steps == 1 or _begins_with_time(x))):
            return TensorSummary(x, time_steps=time_steps, **settings)
        alive = StorageWeakRef(x.untyped_storage())
        key = (alive.cdata, x.dtype, x._version, time_steps)
        known = self._known.get(key)
        if known and not known[0].expired():
            return known[1]
        summary = TensorSummary(x, time_steps=time_steps, **settings)
        # while the weak reference is held, its address belongs to no other storage
        self._known[key] = (alive, summary)
        return summary

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


def _fills_its_storage(x: Tensor) -> bool:
    """Whether a tensor is all of its storage, each value once, and tells when it is changed in place."""
    return (
        not x.is_inference()
        and x.numel() * x.element_size() == x.untyped_storage().nbytes()
        and not any(
            stride == 0 < size - 1 for size, stride in zip(x.shape, x.stride(), strict=True)
        )
    )


def _begins_with_time(x: Tensor) -> bool:
    """Whether the first axis is the outermost one in memory, so that time steps are where other such views have them."""
    return all(
        stride <= x.stride(0) for size, stride in zip(x.shape, x.stride(), strict=True) if size > 1
    )


def _matrix(x: Tensor, *, channels_last: bool) -> tuple[Tensor, bool]:
    """The values, contiguous, and whether a row is a channel of an image or a position."""
    if channels_last:
        return x.reshape(-1, x.shape[-1]).contiguous(), False
    moved = x.movedim(1, -1)
    if moved.is_contiguous() and not x.is_contiguous():
        return moved.reshape(-1, x.shape[1]), False
    return x.reshape(x.shape[0] * x.shape[1], -1).contiguous(), True


def _sampled_kind(flat: Tensor) -> Kind:
    if flat.is_meta:  # shapes without values
        return Kind.REAL
    values = set(flat[:: max(1, flat.numel() // SAMPLE)].double().tolist())
    if values <= {0.0, 1.0}:
        return Kind.BINARY
    whole = all(value.is_integer() and 0 <= value <= LARGEST_INTEGER for value in values)
    return Kind.INTEGER if whole else Kind.REAL
