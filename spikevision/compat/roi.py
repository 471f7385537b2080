"""The region operators of ``mmcv._ext``: RoIAlign on torchvision's kernels, RoIPool in plain PyTorch.

Regions are ``[r, 5]`` as (image index, x1, y1, x2, y2) in pixels of the input image; ``spatial_scale`` takes them to
the feature map ``[N, C, H, W]``.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["roi_align_backward", "roi_align_forward", "roi_pool_backward", "roi_pool_forward"]

MAX, AVERAGE = 0, 1


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the average (or the largest) of bilinear samples in each bin of each region.

    Args:
        input: ``[N, C, H, W]``.
        rois: ``[r, 5]``, see the module.
        output: Output, ``[r, C, aligned_height, aligned_width]``.
        argmax_y: Where pooling by maximum: output, row of the winning sample in its region's grid of samples.
        argmax_x: The same for the column. Only :func:`roi_align_backward` reads them.
        aligned_height: Bins per region, vertically.
        aligned_width: Bins per region, horizontally.
        spatial_scale: Feature pixels per image pixel.
        sampling_ratio: Samples per bin and axis; 0 takes as many as the bin has feature pixels, rounded up.
        pool_mode: 0 maximum, 1 average.
        aligned: Shift by half a pixel, so that pixel centres lie at whole coordinates.

    Source: He et al., Mask R-CNN, ICCV 2017, section 3.
    """
    bins = (aligned_height, aligned_width)
    if pool_mode == AVERAGE:
        output.copy_(_align(input, rois, bins, spatial_scale, sampling_ratio, aligned))
        return
    for members, samples in _sample_grids(rois, bins, spatial_scale, sampling_ratio):
        grid = (bins[0] * samples[0], bins[1] * samples[1])
        # One sample per cell of the finer grid is the very sample that the coarse bin would average.
        values = _align(input, rois[members], grid, spatial_scale, 1, aligned)
        best, winner = F.max_pool2d(values, samples, return_indices=True)
        output[members] = best.to(output.dtype)
        argmax_y[members] = (winner // grid[1]).to(argmax_y.dtype)
        argmax_x[members] = (winner % grid[1]).to(argmax_x.dtype)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of :func:`roi_align_forward` to ``grad_input``, ``[N, C, H, W]``."""
    bins = (aligned_height, aligned_width)
    shape = tuple(grad_input.shape)
    if pool_mode == AVERAGE:
        grad_input += _align_backward(
            grad_output, rois, bins, shape, spatial_scale, sampling_ratio, aligned
        )
        return
    for members, samples in _sample_grids(rois, bins, spatial_scale, sampling_ratio):
        grid = (bins[0] * samples[0], bins[1] * samples[1])
        winner = argmax_y[members].long() * grid[1] + argmax_x[members].long()
        on_grid = F.max_unpool2d(grad_output[members], winner, samples, output_size=grid)
        grad_input += _align_backward(
            on_grid, rois[members], grid, shape, spatial_scale, 1, aligned
        )


def _align(
    input: Tensor,
    rois: Tensor,
    bins: tuple[int, int],
    scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Torchvision's RoIAlign, computed in the wider of the two types and at least in float32."""
    wide = torch.promote_types(torch.promote_types(input.dtype, rois.dtype), torch.float32)
    return torch.ops.torchvision.roi_align(
        input.to(wide), rois.to(wide), scale, *bins, sampling_ratio, aligned
    )


def _align_backward(
    grad: Tensor,
    rois: Tensor,
    bins: tuple[int, int],
    shape: tuple[int, ...],
    scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    wide = torch.promote_types(torch.promote_types(grad.dtype, rois.dtype), torch.float32)
    grad_input = torch.ops.torchvision._roi_align_backward(
        grad.to(wide), rois.to(wide), scale, *bins, *shape, sampling_ratio, aligned
    )
    return grad_input.to(grad.dtype)


def _sample_grids(
    rois: Tensor, bins: tuple[int, int], scale: float, sampling_ratio: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield groups of regions that share a number of samples per bin, as (indices of regions, (rows, columns))."""
    if sampling_ratio > 0:
        counts = rois.new_full((rois.size(0), 2), sampling_ratio, dtype=torch.long)
    else:
        sizes = (rois[:, [4, 3]] - rois[:, [2, 1]]) * scale
        counts = (sizes / sizes.new_tensor(bins)).ceil().clamp(min=1).long()
    for samples in counts.unique(dim=0):
        members = (counts == samples).all(dim=1).nonzero()[:, 0]
        yield members, (int(samples[0]), int(samples[1]))


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write the largest feature of each bin of each region; a bin outside the feature map gives 0.

    The last pixel belongs to a region: it covers ``[x1, x2 + 1)`` of the image, and a bin covers every feature pixel that
    it touches. This is mmcv's definition; torchvision's RoIPool rounds the corners to feature pixels first and differs.

    Args:
        input: ``[N, C, H, W]``.
        rois: ``[r, 5]``, see the module.
        output: Output, ``[r, C, pooled_height, pooled_width]``.
        argmax: Output, the same shape, int32: place of the winner in the flattened feature map, -1 for none.
        pooled_height: Bins per region, vertically.
        pooled_width: Bins per region, horizontally.
        spatial_scale: Feature pixels per image pixel.

    Source: Girshick, Fast R-CNN, ICCV 2015, section 2.1.
    """
    height, width = input.shape[-2:]
    output.zero_()
    argmax.fill_(-1)
    starts, ends = rois[:, 1:3] * spatial_scale, (rois[:, 3:5] + 1) * spatial_scale
    images = rois[:, 0].long().tolist()
    columns = _bin_edges(starts[:, 0], ends[:, 0], pooled_width, width)
    rows = _bin_edges(starts[:, 1], ends[:, 1], pooled_height, height)
    empty = (ends <= starts).any(dim=1).tolist()
    for region, image in enumerate(images):
        if empty[region]:
            continue
        for row, (top, bottom) in enumerate(rows[region]):
            for column, (left, right) in enumerate(columns[region]):
                if bottom <= top or right <= left:
                    continue
                bin_values = input[image, :, top:bottom, left:right].flatten(1)
                best, winner = bin_values.max(dim=1)
                place = (top + winner // (right - left)) * width + left + winner % (right - left)
                output[region, :, row, column] = best
                argmax[region, :, row, column] = place.to(argmax.dtype)


def _bin_edges(start: Tensor, end: Tensor, bins: int, size: int) -> list[list[list[int]]]:
    """First feature pixel and the one after the last of each bin: ``[r][bins][2]``, inside ``[0, size]``."""
    step = ((end - start) / bins)[:, None]
    place = torch.arange(bins, device=start.device)
    first = (place * step + start[:, None]).floor()
    last = ((place + 1) * step + start[:, None]).ceil()
    return torch.stack([first, last], dim=-1).clamp(0, size).long().tolist()


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add each output's gradient to the feature that won it, in ``grad_input``, ``[N, C, H, W]``."""
    channels, height, width = grad_input.shape[1:]
    image = rois[:, 0].long()[:, None, None, None]
    channel = torch.arange(channels, device=rois.device)[None, :, None, None]
    place = (image * channels + channel) * (height * width) + argmax
    won = argmax >= 0
    grad_input.put_(place[won], grad_output[won], accumulate=True)
