"""Convolutions with eight-bit weights: a plain form that any PyTorch runs, and a fast one for whole numbers in."""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from spikevision.ops.whole_numbers import to_bytes

__all__ = ["Int8Conv2d", "VnniConv2d", "quantise_"]

LARGEST = 127
LARGEST_INPUT = 128


class Int8Conv2d(nn.Module):
    """A convolution that keeps its weights as int8 with one scale per output channel; the bias stays as it is.

    The plain form: weights become floating-point numbers again at each call.

    Args:
        conv: The convolution to take the place of; zero padding.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        largest = conv.weight.detach().abs().amax((1, 2, 3))
        scale = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
        rounded = (conv.weight.detach() / scale.view(-1, 1, 1, 1)).round()
        self.register_buffer("weight", rounded.to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone())
        self.stride, self.groups = list(conv.stride), conv.groups
        self.padding = [int(side) for side in conv.padding]

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C', H', W']``."""
        weight = self.weight.to(x.dtype) * self.scale.view(-1, 1, 1, 1)
        return nn.functional.conv2d(
            x, weight, self.bias, self.stride, self.padding, groups=self.groups
        )


class VnniConv2d(nn.Module):
    """Twin of :class:`Int8Conv2d` for whole numbers 0 to 128, such as spikes: they are added up as integers.

    Exact but for one rounding at the end, where the plain form rounds each sum; an input with any other value takes the
    plain form. oneDNN's eight-bit convolution, for x86. (Processors without VNNI add pairs of products in 16 bits, which
    hold 2 x 128 x 127 and not much more.)

    Args:
        conv: The convolution.
    """

    def __init__(self, conv: Int8Conv2d) -> None:
        super().__init__()
        self.plain = conv
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups
        self.bias, self.scale = conv.bias, conv.scale.float()
        self.zero = torch.zeros(len(conv.scale), dtype=torch.long)
        self.packed = torch.ops.onednn.qconv_prepack(
            conv.weight, self.scale, 1.0, 0, self.stride, self.padding, [1, 1], self.groups, None
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C', H', W']``."""
        counts = to_bytes(x, largest=LARGEST_INPUT)
        if counts is None:
            return cast(Tensor, self.plain(x))
        return cast(
            Tensor,
            torch.ops.onednn.qconv2d_pointwise(
                counts, 1.0, 0, self.packed, self.scale, self.zero, self.bias,
                self.stride, self.padding, [1, 1], self.groups, 1.0, 0, torch.float32, "none", [None], None,
            ),
        )  # fmt: skip


def quantise_(model: nn.Module) -> nn.Module:
    """Put :class:`Int8Conv2d` in the place of every convolution.

    Args:
        model: Folded model in eval mode; changed in place.

    Returns:
        ``model``.

    Source: per-channel symmetric weights as in Krishnamoorthi, arXiv:1806.08342, section 2.2.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d) and set(module.dilation) == {1}:
            model.set_submodule(name, Int8Conv2d(module))
    return model


def dequantised(conv: Int8Conv2d) -> nn.Conv2d:
    """An ordinary convolution with the values that the int8 weights stand for."""
    channels, per_group, *kernel = conv.weight.shape
    plain = nn.Conv2d(
        per_group * conv.groups, channels, (kernel[0], kernel[1]), (conv.stride[0], conv.stride[1]),
        (conv.padding[0], conv.padding[1]), groups=conv.groups, bias=conv.bias is not None,
    )  # fmt: skip
    plain.weight = nn.Parameter(conv.weight.float() * conv.scale.view(-1, 1, 1, 1))
    if conv.bias is not None:
        plain.bias = nn.Parameter(copy.copy(conv.bias))
    return plain.requires_grad_(False).eval()
