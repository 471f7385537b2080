"""Small whole numbers, such as spikes, as bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from spikevision.ops import native

__all__ = ["to_bytes"]


def to_bytes(x: Tensor, *, largest: int = 255) -> Tensor | None:
    """The same numbers in eight bits if that is exact.

    Args:
        x: Any shape.
        largest: Largest number that is taken, at most 255.

    Returns:
        ``x`` as uint8, in its memory layout; None where a value is no whole number from 0 to ``largest``.
    """
    if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
        x = x.contiguous()
    if not native.has_kernels(x):
        small = x.to(torch.uint8)
        exact = torch.equal(small.to(x.dtype), x) and (not x.numel() or int(small.max()) <= largest)
        return small if exact else None
    small, wrong = torch.empty_like(x, dtype=torch.uint8), torch.zeros(1, dtype=torch.int32)
    native.call("to_bytes", x, small, wrong, x.numel(), largest)
    return None if int(wrong) else small
