"""Zeros and ones in one bit each: eight to a byte, the first in the lowest bit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikevision.ops import native

__all__ = ["pack_bits", "unpack_bits"]


def pack_bits(flat: Tensor) -> Tensor:
    """Pack ``[M]`` zeros and ones of any dtype into ``[ceil(M / 8)]`` bytes."""
    if native.has_kernels(flat):
        bits = torch.empty(-(-len(flat) // 8), dtype=torch.uint8)
        native.call("pack_bits", flat, bits, len(flat))
        return bits
    if flat.device.type == "cpu":
        source = flat if flat.dtype != torch.bfloat16 else flat.view(torch.int16)
        return torch.from_numpy(np.packbits(source.numpy() != 0, bitorder="little"))
    return _pack_bits_anywhere(flat)


def _pack_bits_anywhere(flat: Tensor) -> Tensor:
    """Twin of :func:`pack_bits` for any device, much slower on a CPU."""
    padded = torch.nn.functional.pad(flat != 0, (0, -len(flat) % 8)).view(-1, 8)
    return (padded * _weights(flat.device)).sum(1, dtype=torch.uint8)


def unpack_bits(bits: Tensor, elements: int, dtype: torch.dtype) -> Tensor:
    """Inverse of :func:`pack_bits`: ``[elements]`` zeros and ones."""
    if bits.device.type != "cpu":
        return _unpack_bits_anywhere(bits, elements, dtype)
    flat = torch.empty(elements, dtype=dtype)
    if native.has_kernels(flat):
        native.call("unpack_bits", bits, flat, elements)
        return flat
    spread = np.unpackbits(bits.numpy(), count=elements, bitorder="little")
    return flat.copy_(torch.from_numpy(spread))


def _unpack_bits_anywhere(bits: Tensor, elements: int, dtype: torch.dtype) -> Tensor:
    spread = bits.unsqueeze(1).bitwise_and(_weights(bits.device)) != 0
    return spread.flatten()[:elements].to(dtype)


def _weights(device: torch.device) -> Tensor:
    return torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=device)
