"""Max-pooling that keeps one byte per result for the backward pass, where PyTorch keeps eight and the input."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikevision.ops import native
from spikevision.ops.packing import mark_like

__all__ = ["max_pool2d"]

LANES = 8  # as in the source
MAX_KERNEL = 15  # whose places fit into a byte


class _Pool(ctypes.Structure):
    """The window of ``pooling.c`` and what it moves over."""

    _names = (
        "height",
        "width",
        "channels",
        "kernel",
        "stride",
        "padding",
        "out_height",
        "out_width",
    )
    _fields_ = [(name, ctypes.c_long) for name in _names]  # noqa: RUF012


def max_pool2d(x: Tensor, kernel_size: int, stride: int, padding: int) -> Tensor:
    """Max-pooling; of spikes it gives spikes, for the layer behind it to keep as bits.

    Args:
        x: ``[N, C, H, W]``.
        kernel_size: Side of the window.
        stride: Step of the window.
        padding: Border on each side that never is a maximum, at most half the window.

    Returns:
        ``[N, C, H', W']``, ``H' = (H + 2 padding - kernel_size) // stride + 1``.
    """
    if _has_kernel(x, kernel_size):
        y = _MaxPool.apply(x, kernel_size, stride, padding)
    else:
        y = torch.nn.functional.max_pool2d(x, kernel_size, stride, padding)
    return mark_like(y, x)


def _has_kernel(x: Tensor, kernel_size: int) -> bool:
    """Whether there is a gradient to compute that the kernel can compute."""
    return (
        torch.is_grad_enabled()
        and x.requires_grad
        and x.dim() == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.shape[1] % LANES == 0
        and kernel_size <= MAX_KERNEL
        and native.has_kernels(x)
    )


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel_size: int, stride: int, padding: int) -> Tensor:
        images, channels, *size = x.shape
        out = [(side + 2 * padding - kernel_size) // stride + 1 for side in size]
        ctx.pool, ctx.shape = _Pool(*size, channels, kernel_size, stride, padding, *out), x.shape
        y = x.new_empty(images, *out, channels)
        taps = torch.empty(y.shape, dtype=torch.uint8)
        native.call("max_pool", x, y, taps, ctx.pool, images)
        ctx.save_for_backward(taps)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (taps,) = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        result = torch.empty(ctx.shape, memory_format=torch.channels_last)
        native.call("max_pool_gradient", grad, taps, result, ctx.pool, ctx.shape[0])
        return result, None, None, None
