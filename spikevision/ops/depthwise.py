"""Depthwise convolution whose weight gradient is no bottleneck on a CPU.

PyTorch's takes five to forty times as long as the forward pass. Ours is ``depthwise.c``; where kernels do not run,
PyTorch's gradient is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikevision.ops import native

__all__ = ["depthwise_conv2d"]

KERNELS = (3, 5, 7)
LANES = 8  # as in the source


def depthwise_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """Depthwise convolution of stride 1 that keeps the size.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[C, 1, k, k]``, k odd.

    Returns:
        ``[N, C, H, W]``.
    """
    padding, channels = weight.shape[-1] // 2, len(weight)
    if _has_kernel(x, weight):
        return _DepthwiseConv.apply(x, weight)
    return torch.nn.functional.conv2d(x, weight, padding=padding, groups=channels)


def _has_kernel(x: Tensor, weight: Tensor) -> bool:
    """Whether there is a gradient to compute that the kernel can compute."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and weight.shape[-1] in KERNELS
        and len(weight) % LANES == 0
        and native.has_kernels(x, weight)
    )


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.nn.functional.conv2d(
            x, weight, padding=weight.shape[-1] // 2, groups=len(weight)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = _input_gradient(grad, x, weight) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(grad, x, weight) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    padding = [weight.shape[-1] // 2] * 2
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], len(weight),
        [True, False, False],
    )[0]  # fmt: skip


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``[C, 1, k, k]``, from the kernel."""
    images, channels, height, width = x.shape
    kernel = weight.shape[-1]
    x = x.contiguous(memory_format=torch.channels_last)
    grad = grad.contiguous(memory_format=torch.channels_last)
    result = torch.empty(kernel, kernel, channels)
    native.call(
        "depthwise_weight_gradient", x, grad, result, images, height, width, channels, kernel
    )
    return result.permute(2, 0, 1).unsqueeze(1)
