"""One small run of each family of operators through ``mmcv.ops``, against an answer worked out by hand."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["SMOKE_RUNS"]

Answer = tuple[Tensor, Tensor]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _boxes() -> tuple[Tensor, Tensor]:
    """Two boxes of 10 x 10 pixels that overlap by 9/11, and one apart."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 1, 10, 11], [20, 20, 30, 30]], device=_device())
    return boxes, torch.tensor([0.5, 0.9, 0.7], device=_device())


def nms() -> Answer:
    """The lower of two overlapping boxes falls."""
    from mmcv.ops import nms

    return nms(*_boxes(), iou_threshold=0.5)[1], torch.tensor([1, 2])


def soft_nms() -> Answer:
    """The lower of two overlapping boxes keeps 2/11 of its score."""
    from mmcv.ops import soft_nms

    dets, _ = soft_nms(*_boxes(), iou_threshold=0.5, method="linear")
    return dets[:, 4], torch.tensor([0.9, 0.7, 0.5 * 2 / 11])


def nms_match() -> Answer:
    """The fallen box is listed under the one that made it fall."""
    from mmcv.ops import nms_match

    boxes, scores = _boxes()
    return torch.cat(nms_match(torch.cat([boxes, scores[:, None]], 1), 0.5)), torch.tensor(
        [1, 0, 2]
    )


def bbox_overlaps() -> Answer:
    """Two boxes of 10 x 10 pixels share 90 of 110 pixels."""
    from mmcv.ops import bbox_overlaps

    boxes, _ = _boxes()
    return bbox_overlaps(boxes[:1], boxes), torch.tensor([[1, 9 / 11, 0]])


def _ramp() -> Tensor:
    """A map whose value is its column, ``[1, 1, 8, 8]``."""
    ramp = torch.arange(8.0, device=_device()).expand(1, 1, 8, 8)
    return ramp.clone().requires_grad_()


def roi_align() -> Answer:
    """The average over a region of a ramp is the ramp's value at its centre."""
    from mmcv.ops import roi_align

    roi = torch.tensor([[0.0, 2, 2, 6, 6]], device=_device())
    pooled = roi_align(_ramp(), roi, (1, 2))
    pooled.sum().backward()
    return pooled, torch.tensor([[[[2.5, 4.5]]]])


def roi_pool() -> Answer:
    """The largest value of a ramp in a region lies at its right edge."""
    from mmcv.ops import roi_pool

    roi = torch.tensor([[0.0, 2, 2, 5, 5]], device=_device())
    pooled = roi_pool(_ramp(), roi, (1, 2))
    pooled.sum().backward()
    return pooled, torch.tensor([[[[3.0, 5.0]]]])


def deform_conv() -> Answer:
    """A shift by half a pixel raises a ramp by one half."""
    from mmcv.ops import deform_conv2d

    offset = torch.zeros(1, 2, 8, 8, device=_device())
    offset[:, 1] = 0.5
    shifted = deform_conv2d(_ramp(), offset, torch.ones(1, 1, 1, 1, device=_device()))
    shifted.sum().backward()
    return shifted[0, 0, 0, :7], torch.arange(7) + 0.5


def modulated_deform_conv() -> Answer:
    """A mask of one half halves what a shift of half a pixel gives."""
    from mmcv.ops import modulated_deform_conv2d

    offset = torch.zeros(1, 2, 8, 8, device=_device())
    offset[:, 1] = 0.5
    mask = torch.full((1, 1, 8, 8), 0.5, device=_device())
    weight = torch.ones(1, 1, 1, 1, device=_device())
    shifted = modulated_deform_conv2d(_ramp(), offset, mask, weight, None, 1, 0, 1, 1, 1)
    shifted.sum().backward()
    return shifted[0, 0, 0, :7], (torch.arange(7) + 0.5) / 2


def focal_loss() -> Answer:
    """At a logit of zero both losses are alpha / 4 log 2 with gamma 2 and two classes."""
    from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss

    logits = torch.zeros(1, 2, device=_device(), requires_grad=True)
    target = torch.zeros(1, dtype=torch.long, device=_device())
    losses = torch.stack(
        [
            loss(logits.clone(), target, 2.0, 0.5, None, "sum")
            for loss in (sigmoid_focal_loss, softmax_focal_loss)
        ]
    )
    losses.sum().backward()
    return losses, torch.tensor([2.0, 1.0]) * torch.tensor(2.0).log() / 8


def ms_deform_attn() -> Answer:
    """One sample in the middle of a 2 x 2 level is the mean of its four values."""
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    value = torch.arange(4.0, device=_device()).reshape(1, 4, 1, 1).requires_grad_()
    shapes = torch.tensor([[2, 2]], device=_device())
    start = torch.zeros(1, dtype=torch.long, device=_device())
    centre = torch.full((1, 1, 1, 1, 1, 2), 0.5, device=_device())
    weight = torch.ones(1, 1, 1, 1, 1, device=_device())
    out = MultiScaleDeformableAttnFunction.apply(value, shapes, start, centre, weight, 64)
    out.sum().backward()
    return out, torch.full((1, 1, 1), 1.5)


SMOKE_RUNS: dict[str, Callable[[], Answer]] = {
    run.__name__: run
    for run in (
        nms,
        soft_nms,
        nms_match,
        bbox_overlaps,
        roi_align,
        roi_pool,
        deform_conv,
        modulated_deform_conv,
        focal_loss,
        ms_deform_attn,
    )
}
