"""A convolution that skips what does not spike: its time goes with the number of inputs that are not zero."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from spikevision.ops import native

__all__ = ["event_conv2d", "pack_bias", "pack_weight"]

BLOCK = 64  # as in the source
SLACK = 16


class _Shape(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_long)
        for name in (
            "images", "height", "width", "in_channels", "out_channels", "out_height", "out_width",
            "kernel", "stride", "padding",
        )
    ]  # fmt: skip


def pack_weight(weight: Tensor) -> Tensor:
    """Weights ``[C', C, k, k]`` as :func:`event_conv2d` reads them, ``[blocks, k, k, C, 64]``."""
    channels, _, kernel, _ = weight.shape
    blocks = -(-channels // BLOCK)
    padded = weight.new_zeros(blocks * BLOCK, *weight.shape[1:])
    padded[:channels] = weight
    return padded.view(blocks, BLOCK, -1, kernel, kernel).permute(0, 3, 4, 2, 1).contiguous()


def pack_bias(bias: Tensor | None, channels: int) -> Tensor:
    """A bias ``[C']``, zeros if there is none, at the length of the packed weights."""
    padded = torch.zeros(-(-channels // BLOCK) * BLOCK)
    if bias is not None:
        padded[:channels] = bias
    return padded


def event_conv2d(
    x: Tensor, packed: Tensor, bias: Tensor, channels: int, *, stride: int, padding: int
) -> Tensor:
    """Convolution without groups and dilation, by the kernel alone: ask :func:`native.has_kernels` first.

    Args:
        x: ``[N, C, H, W]``, any values; channels_last is read as it lies.
        packed: See :func:`pack_weight`.
        bias: See :func:`pack_bias`.
        channels: C', channels of the output.
        stride: Stride in both directions.
        padding: Zeros on each side.

    Returns:
        ``[N, C', H', W']`` in channels_last; sums of another order than PyTorch's.
    """
    images, in_channels, height, width = x.shape
    kernel = packed.shape[1]
    out = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.empty(images, channels, *out, memory_format=torch.channels_last)
    places = torch.empty(x.numel() + SLACK, dtype=torch.int32)
    counts = torch.empty(images * height * width, dtype=torch.int32)
    shape = _Shape(images, height, width, in_channels, channels, *out, kernel, stride, padding)
    native.call("event_conv", x, places, counts, packed, bias, y, shape)
    return y
