"""Count spikes per time step and channel, and see what values a tensor holds, in one pass over its memory.

On a CPU a C kernel reads each value once; its twin in PyTorch takes more passes and runs everywhere. The usual neurons
of an evaluation are not even read again: a :class:`SpikeCounter` counts while they fire.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from spikevision.ops import native
from spikevision.ops.firing import Firing, fits
from spikevision.ops.normalise import LIFSettings

__all__ = [
    "LARGEST_INTEGER",
    "Kind",
    "SpikeCounter",
    "SpikeCounts",
    "channel_axis",
    "count_channels",
]

LARGEST_INTEGER = 63  # spikes per value that still count as a small integer; as in counting.c
EXACT_LENGTH = 2**18  # small integers whose sum float32 holds
MOST_COUNTED = 2**24  # float32 holds each whole number up to it
DOT_LENGTH = 2**22  # values whose squares are summed in float32 at once


class Kind(IntEnum):
    """What the values of a tensor are; of two kinds the larger one describes both together."""

    BINARY = 0
    INTEGER = 1
    REAL = 2


class SpikeCounts(NamedTuple):
    """Spikes of one output of a neuron layer, in float64.

    Attributes:
        per_channel: ``[T, C]``.
        per_row: ``[T, rows]``, a row for each position of each image in the order of memory; None where nobody asked.
    """

    per_channel: Tensor
    per_row: Tensor | None


class SpikeCounter(Firing):
    """Runs LIF neurons and counts as they fire, which costs less than to read the spikes again.

    Args:
        per_row: Whether to count for each position as well.
    """

    def __init__(self, *, per_row: bool) -> None:
        self._per_row = per_row
        self._last: tuple[Tensor, SpikeCounts] | None = None

    def fire(self, x: Tensor, lif: LIFSettings | None) -> Tensor | None:
        """Spikes for the input ``[T, N, ...]`` from rest; None, and nothing done, where no kernel fits ``x`` or the neuron."""
        axis = channel_axis(x)
        if axis is None or not fits(x, lif) or not x.movedim(axis, -1).is_contiguous():
            return None
        steps, width = len(x), x.shape[axis]
        rows = x.numel() // (steps * width)
        if max(rows, width) > MOST_COUNTED:
            return None
        per_channel = torch.zeros(steps, width, dtype=torch.float64)
        per_row = torch.empty(steps, rows, dtype=torch.float64) if self._per_row else None
        spikes = torch.empty_like(x)
        native.call("lif_counted", x, spikes, per_channel, per_row, lif, steps, rows, width)
        self._last = spikes, SpikeCounts(per_channel, per_row)
        return spikes

    def counts_of(self, spikes: object) -> SpikeCounts | None:
        """What was counted, if these are the spikes that were fired last; it is forgotten."""
        last, self._last = self._last, None
        return last[1] if last is not None and last[0] is spikes else None


def channel_axis(spikes: Tensor) -> int | None:
    """Axis of the channels of a neuron's output: of ``[T, N, L, C]`` the last, else the third; None where there is none."""
    if spikes.dim() < 3:
        return None
    return -1 if spikes.dim() == 4 else 2


def count_channels(
    matrix: Tensor, *, time_steps: int, channels: int | None = None, checked: bool = True
) -> tuple[Tensor, Kind]:
    """Sums over images and positions, exact for whole numbers from 0 to 63; of other values they mean nothing.

    Args:
        matrix: Contiguous values: ``[T N C, positions]`` with ``channels`` given, else ``[T N positions, C]``.
        time_steps: T.
        channels: C, if each row is one channel of one image.
        checked: Whether all values are looked at for their kind, or taken to be 0 or 1.

    Returns:
        ``[T, C]`` in float64, and the kind.
    """
    if matrix.numel() and native.has_kernels(matrix):
        return _by_kernel(matrix, time_steps, channels, checked)
    return _by_pytorch(matrix, time_steps, channels, checked)


def _by_kernel(
    matrix: Tensor, time_steps: int, channels: int | None, checked: bool
) -> tuple[Tensor, Kind]:
    rows, columns = matrix.shape
    width, places = (channels, columns) if channels else (columns, 1)
    sums = torch.zeros(time_steps, width, dtype=torch.float64)
    kind = torch.zeros(1, dtype=torch.int32)
    images = matrix.numel() // (time_steps * width * places)
    native.call(
        "count_channels", matrix, sums, kind,
        time_steps, images, width, places, int(not channels), int(checked),
    )  # fmt: skip
    return sums, Kind(int(kind)) if checked else Kind.BINARY


def _by_pytorch(
    matrix: Tensor, time_steps: int, channels: int | None, checked: bool
) -> tuple[Tensor, Kind]:
    if channels:
        sums = exact_sum(matrix, 1).view(time_steps, -1, channels).sum(1)
    else:
        sums = exact_sum(matrix.view(time_steps, -1, matrix.shape[1]), 1)
    return sums, _kind(matrix.view(-1), sums) if checked else Kind.BINARY


def exact_sum(x: Tensor, dim: int) -> Tensor:
    """Exact sum of small whole numbers along one axis, float64."""
    wide = x.dtype == torch.float64 or x.shape[dim] > EXACT_LENGTH
    return x.sum(dim, dtype=torch.float64 if wide else torch.float32).double()


def _kind(flat: Tensor, sums: Tensor) -> Kind:
    """Kind of all values.

    Of whole numbers, the squares sum to what the numbers sum to when all are 0 or 1, and to more otherwise. (Real
    values would have to hit that very sum; see :class:`spikevision.statistics.tensor_summary.TensorSummary`.)
    """
    flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    squares = sum(float(torch.dot(part, part)) for part in flat.split(DOT_LENGTH))
    if math.isfinite(squares) and float(sums.sum()) == squares:
        return Kind.BINARY
    whole = torch.equal(flat, flat.round()) and flat.min() >= 0 and flat.max() <= LARGEST_INTEGER
    return Kind.INTEGER if whole else Kind.REAL
