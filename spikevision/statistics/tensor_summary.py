"""What the recorder needs to know of one tensor, taken in few passes and shared by all that read the tensor.

All sums are of whole numbers and stay below 2^24 in float32, so they are exact in any order. Each is one reduction of
the tensor as it lies in memory, without a copy: evaluation is bound by memory, and so is this.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["Kind", "SummaryCache", "TensorSummary"]

SAMPLE = 256  # values looked at before a tensor is read in full
DOT_LENGTH = 2**22  # values whose squares are summed in float32 at once
EXACT_LENGTH = 2**18  # small integers whose sum float32 holds
LARGEST_INTEGER = 63  # spikes per value that still count as a small integer


class Kind(IntEnum):
    """What the values of a tensor are; of two kinds the larger one describes both together."""

    BINARY = 0
    INTEGER = 1
    REAL = 2


class TensorSummary:
    """Kind and sums of one tensor, read as it lies in memory: channels first or channels last.

    Args:
        x: ``[B, C, ...]``, or ``[..., C]`` if ``channels_last``; B (of ``[..., C]`` the first axis) is a multiple of
            ``time_steps``. It is not kept.
        time_steps: T.
        channels_last: Whether the last axis is the channel.
        binary: Whether the values are known to be 0 and 1; else all of them are checked.
    """

    def __init__(
        self, x: Tensor, *, time_steps: int, channels_last: bool = False, binary: bool = False
    ) -> None:
        matrix, rows_are_channels = _matrix(x, channels_last=channels_last)
        self.time_steps = time_steps
        self.per_channel: Tensor | None = None  # [T, C], float64
        self._per_step: list[int] | None = None
        self._planes: dict[int, Tensor] = {}
        known = binary and not x.is_meta
        self.kind = Kind.BINARY if known else _sampled_kind(matrix.view(-1))
        if self.kind is Kind.REAL:
            return
        if rows_are_channels:
            self.per_channel = _sum(matrix, 1).view(time_steps, -1, x.shape[1]).sum(1)
        else:
            self.per_channel = _sum(matrix.view(time_steps, -1, matrix.shape[1]), 1)
        if not known:
            self.kind = max(self.kind, _exact_kind(matrix.view(-1), self.per_channel))

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
        positions = x[0, 0].numel()
        if positions not in self._planes:
            matrix, rows_are_channels = _matrix(x, channels_last=False)
            if rows_are_channels:
                plane = _sum(matrix.view(self.time_steps, -1, positions), 1)
            else:
                plane = _sum(matrix, 1).view(self.time_steps, -1, positions).sum(1)
            self._planes[positions] = plane
        return self._planes[positions]


class SummaryCache:
    """Summaries of tensors that are still alive and unchanged, so that each is read once per forward pass."""

    def __init__(self) -> None:
        self._known: dict[tuple, tuple[StorageWeakRef, TensorSummary]] = {}

    def summarise(
        self, x: Tensor, *, time_steps: int, channels_last: bool = False, binary: bool = False
    ) -> TensorSummary:
        """Summary of a tensor; of a view of one that was read before, that one's."""
        if not _fills_its_storage(x):
            return TensorSummary(
                x, time_steps=time_steps, channels_last=channels_last, binary=binary
            )
        alive = StorageWeakRef(x.untyped_storage())
        key = (alive.cdata, x.dtype, x._version, time_steps)
        known = self._known.get(key)
        if known and not known[0].expired():
            return known[1]
        summary = TensorSummary(
            x, time_steps=time_steps, channels_last=channels_last, binary=binary
        )
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


def _matrix(x: Tensor, *, channels_last: bool) -> tuple[Tensor, bool]:
    """The values in the order of memory, and whether a row is a channel of an image or a position."""
    if channels_last:
        return x.reshape(-1, x.shape[-1]), False
    moved = x.movedim(1, -1)
    if moved.is_contiguous() and not x.is_contiguous():
        return moved.reshape(-1, x.shape[1]), False
    return x.reshape(x.shape[0] * x.shape[1], -1), True


def _sampled_kind(flat: Tensor) -> Kind:
    if flat.is_meta:  # shapes without values
        return Kind.REAL
    values = set(flat[:: max(1, flat.numel() // SAMPLE)].double().tolist())
    if values <= {0.0, 1.0}:
        return Kind.BINARY
    whole = all(value.is_integer() and 0 <= value <= LARGEST_INTEGER for value in values)
    return Kind.INTEGER if whole else Kind.REAL


def _exact_kind(flat: Tensor, sums: Tensor) -> Kind:
    """Kind of all values.

    Of whole numbers, the squares sum to what the numbers sum to when all are 0 or 1, and to more otherwise. (Real
    values would have to hit that very sum, and whole numbers at every sampled place.)
    """
    flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    squares = sum(float(torch.dot(part, part)) for part in flat.split(DOT_LENGTH))
    if float(sums.sum()) == squares:
        return Kind.BINARY
    whole = torch.equal(flat, flat.round()) and flat.min() >= 0 and flat.max() <= LARGEST_INTEGER
    return Kind.INTEGER if whole else Kind.REAL


def _sum(x: Tensor, dim: int) -> Tensor:
    """Exact sum of whole numbers along one axis, float64."""
    wide = x.dtype == torch.float64 or x.shape[dim] > EXACT_LENGTH
    return x.sum(dim, dtype=torch.float64 if wide else torch.float32).double()
