"""The deformable convolutions of ``mmcv._ext`` on torchvision's kernels.

Offsets are ``[N, 2 * G * kH * kW, H_out, W_out]``: for each of G deformable groups and each tap of the kernel first its shift
in y, then in x, in pixels. A sample outside the input counts as zero. Arguments named ``columns`` and ``ones`` are
scratch space of mmcv's own kernels and ``im2col_step`` their batch split: here they have no effect on the result.

Source: Dai et al., Deformable Convolutional Networks, ICCV 2017; Zhu et al., Deformable ConvNets v2, CVPR 2019.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
]


class Geometry(NamedTuple):
    """The eight integers of a deformable convolution in the order that torchvision wants them."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    deform_groups: int


def _no_mask(input: Tensor) -> Tensor:
    """What torchvision's kernels take for no mask."""
    return input.new_zeros(input.size(0), 1)


def _forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    geometry: Geometry,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(
        input,
        weight,
        offset,
        _no_mask(input) if mask is None else mask,
        input.new_zeros(weight.size(0)) if bias is None else bias,
        *geometry,
        mask is not None,
    )


def _backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    geometry: Geometry,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of input, weight, offset, mask and bias, in that order."""
    return torch.ops.torchvision._deform_conv2d_backward(
        grad_output,
        input,
        weight,
        offset,
        _no_mask(input) if mask is None else mask,
        input.new_zeros(weight.size(0)),
        *geometry,
        mask is not None,
    )


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Write the deformable convolution of ``input`` ``[N, C, H, W]`` to ``output`` ``[N, C_out, H_out, W_out]``.

    ``weight`` is ``[C_out, C / group, kH, kW]``; d is the stride; for the rest see the module.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    output.copy_(_forward(input, weight, offset, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Add the gradients of :func:`deform_conv_forward` by input and offset to ``grad_input`` and ``grad_offset``."""
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    by_input, _, by_offset, _, _ = _backward(grad_output, input, weight, offset, geometry)
    grad_input += by_input
    grad_offset += by_offset


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the gradient of :func:`deform_conv_forward` by the weight to ``grad_weight``."""
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    weight = torch.zeros_like(grad_weight)  # the gradient by the weight does not depend on it
    grad_weight += scale * _backward(grad_output, input, weight, offset, geometry)[1]


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Write the modulated deformable convolution of ``input`` ``[N, C, H, W]`` to ``output`` ``[N, C_out, H_out, W_out]``.

    ``mask``, ``[N, G * kH * kW, H_out, W_out]``, multiplies each sample; ``bias`` is ``[C_out]``, or ignored without
    ``with_bias``; for the rest see the module.
    """
    geometry = Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    )
    output.copy_(_forward(input, weight, offset, geometry, mask, bias if with_bias else None))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Add the gradients of :func:`modulated_deform_conv_forward` to the five ``grad_`` tensors of its inputs."""
    geometry = Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    )
    by_input, by_weight, by_offset, by_mask, by_bias = _backward(
        grad_output, input, weight, offset, geometry, mask
    )
    grad_input += by_input
    grad_weight += by_weight
    grad_offset += by_offset
    grad_mask += by_mask
    if with_bias:
        grad_bias += by_bias
