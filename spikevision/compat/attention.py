"""Multi-scale deformable attention of ``mmcv._ext``, by mmcv's own Python definition and its autograd.

mmcv takes that definition by itself on the CPU and calls the extension on CUDA.

Source: Zhu et al., Deformable DETR, ICLR 2021, equation 3.
"""

import torch
from torch import Tensor

__all__ = ["ms_deform_attn_backward", "ms_deform_attn_forward"]


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weigh bilinear samples of every level.

    Args:
        value: ``[N, L, M, D]``, the levels one after the other along L.
        spatial_shapes: ``[levels, 2]``, height and width of each level.
        level_start_index: ``[levels]``; follows from the shapes and is not read.
        sampling_locations: ``[N, Q, M, levels, P, 2]``, x and y as fractions of the level's width and height.
        attention_weights: ``[N, Q, M, levels, P]``.
        im2col_step: Batch split of mmcv's kernel; no effect here.

    Returns:
        ``[N, Q, M * D]``.
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(
        value, spatial_shapes, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Add the gradients of :func:`ms_deform_attn_forward` to the three ``grad_`` tensors, by running it again."""
    inputs = [
        tensor.detach().requires_grad_()
        for tensor in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            inputs[0], spatial_shapes, level_start_index, inputs[1], inputs[2], im2col_step
        )
    found = torch.autograd.grad(output, inputs, grad_output)
    for total, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), found, strict=True
    ):
        total += gradient
