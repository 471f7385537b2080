"""What the recorder needs to know of one tensor, taken in few passes and shared by all that read the tensor.

All sums are of whole numbers and stay below 2^24 in float32, so they are exact in any order. They go through
matrix-vector products, which on CPU are many times faster than the reductions that they stand for.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

__all__ = ["Kind", "SummaryCache", "TensorSummary"]

SAMPLE = 256  # values looked at before a tensor is read in full
DOT_LENGTH = 2**22  # values whose squares are summed in float32 at once
COLUMN_LENGTH = 2**18  # rows that are summed in float32 at once
LARGEST_INTEGER = 63  # spikes per value that still count as a small integer


class Kind(IntEnum):
    """What the values of a tensor are; of two kinds the larger one describes both together."""

    BINARY = 0
    INTEGER = 1
    REAL = 2


class TensorSummary:
    """Kind and sums of one contiguous tensor.

    Args:
        x: The tensor; it is not kept.
        block: Length of the runs of consecutive values whose sums are wanted (e.g. H W), a divisor of its size.
        verify: Whether every value is checked, or a sample of 256.
    """

    def __init__(self, x: Tensor, *, block: int, verify: bool = True) -> None:
        flat = x.reshape(-1)
        flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
        self.size = flat.numel()
        self.block = block
        self._planes: dict[tuple[int, int], Tensor] = {}
        self.sums: Tensor | None = None
        self.kind = _sampled_kind(flat)
        if self.kind is not Kind.REAL:
            self.sums = _row_sums(flat.view(-1, block))
            if verify:
                self.kind = max(self.kind, _exact_kind(flat, self.sums))

    def per_step(self, time_steps: int) -> list[int]:
        """Spikes in each of T equal parts."""
        assert self.sums is not None
        return _whole(self.sums.view(time_steps, -1).sum(1))

    def plane(self, x: Tensor, *, time_steps: int, positions: int) -> Tensor:
        """Spikes at each position, summed over N and C: ``[T, positions]``, float64."""
        key = (time_steps, positions)
        if key not in self._planes:
            flat = x if x.dtype in (torch.float32, torch.float64) else x.float()
            steps = flat.reshape(time_steps, -1, positions)
            self._planes[key] = torch.stack([_column_sums(step) for step in steps])
        return self._planes[key]


class SummaryCache:
    """Summaries of tensors that are still alive and unchanged, so that each is read once per forward pass."""

    def __init__(self) -> None:
        self._known: dict[tuple, tuple[StorageWeakRef, TensorSummary]] = {}

    def summarise(self, x: Tensor, *, block: int, verify: bool = True) -> TensorSummary:
        """Summary of a contiguous tensor; one that was read before keeps its ``block`` and its verification."""
        if x.is_inference():  # has no version counter: a change in place would go unseen
            return TensorSummary(x, block=block, verify=verify)
        alive = StorageWeakRef(x.untyped_storage())
        key = (alive.cdata, x.storage_offset(), x.numel(), x._version)
        known = self._known.get(key)
        if known and not known[0].expired():
            return known[1]
        summary = TensorSummary(x, block=block, verify=verify)
        # while the weak reference is held, its address belongs to no other storage
        self._known[key] = (alive, summary)
        return summary

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


def _sampled_kind(flat: Tensor) -> Kind:
    if flat.is_meta:  # shapes without values
        return Kind.REAL
    values = set(flat[:: max(1, flat.numel() // SAMPLE)].tolist())
    if values <= {0.0, 1.0}:
        return Kind.BINARY
    whole = all(value.is_integer() and 0 <= value <= LARGEST_INTEGER for value in values)
    return Kind.INTEGER if whole else Kind.REAL


def _exact_kind(flat: Tensor, sums: Tensor) -> Kind:
    """Kind of all values.

    Of whole numbers, the squares sum to what the numbers sum to when all are 0 or 1, and to more otherwise. (Real
    values would have to hit that very sum, and whole numbers at every sampled place.)
    """
    squares = sum(float(torch.dot(part, part)) for part in flat.split(DOT_LENGTH))
    if float(sums.sum()) == squares:
        return Kind.BINARY
    whole = torch.equal(flat, flat.round()) and flat.min() >= 0 and flat.max() <= LARGEST_INTEGER
    return Kind.INTEGER if whole else Kind.REAL


def _row_sums(rows: Tensor) -> Tensor:
    if rows.shape[1] == 1:
        return rows[:, 0].double()
    return torch.mv(rows, _ones(rows.shape[1], rows.dtype, rows.device)).double()


@lru_cache(maxsize=64)
def _ones(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(length, dtype=dtype, device=device)


def _column_sums(rows: Tensor) -> Tensor:
    parts = rows.split(COLUMN_LENGTH)
    return sum(torch.mv(part.T, part.new_ones(part.shape[0])).double() for part in parts)


def _whole(values: Tensor) -> list[int]:
    return [int(value) for value in values.tolist()]
