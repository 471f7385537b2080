"""The box operators of ``mmcv._ext``: overlaps, non-maximum suppression, soft-NMS and NMS matching.

Boxes are ``[n, 4]`` as (x1, y1, x2, y2) in pixels. With ``offset = 1`` a box that ends in column x2 includes that
column, so its width is ``x2 - x1 + 1``.
"""

import torch
import torchvision
from torch import Tensor

__all__ = ["bbox_overlaps", "nms", "nms_match", "softnms"]

NAIVE, LINEAR, GAUSSIAN = 0, 1, 2
IOF = 1


def _areas(boxes: Tensor, offset: int) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2] + offset
    return sides[..., 0] * sides[..., 1]


def _intersections(one: Tensor, other: Tensor, offset: int) -> Tensor:
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(
        one[..., :2], other[..., :2]
    )
    sides = (sides + offset).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def _iou(one: Tensor, other: Tensor, offset: int) -> Tensor:
    """Intersection over union of boxes ``[..., 4]`` that broadcast; NaN where both are empty."""
    shared = _intersections(one, other, offset)
    return shared / (_areas(one, offset) + _areas(other, offset) - shared)


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Write the overlaps of two sets of boxes.

    Args:
        bboxes1: ``[m, 4]``.
        bboxes2: ``[n, 4]``, with n = m where ``aligned``.
        ious: Output, ``[m, n]``, or ``[m]`` where ``aligned``.
        mode: 0 for intersection over union, 1 for intersection over the area of ``bboxes1``.
        aligned: Compare box i with box i only.
        offset: 0 or 1, see the module.
    """
    one = bboxes1 if aligned else bboxes1[:, None]
    if mode == IOF:
        ious.copy_(_intersections(one, bboxes2, offset) / _areas(one, offset))
    else:
        ious.copy_(_iou(one, bboxes2, offset))


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that survive, highest score first.

    A box falls if its overlap with a kept box of higher score exceeds ``iou_threshold``.

    Args:
        boxes: ``[n, 4]``.
        scores: ``[n]``.
        iou_threshold: Overlap above which the lower score falls.
        offset: 0 or 1, see the module.

    Returns:
        ``[k]``, int64.
    """
    # Moving the far corner by `offset` widens every box and every intersection by just that.
    far_corner = boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes + far_corner, scores.to(boxes.dtype), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS: overlapping boxes keep a lowered score instead of falling.

    Again and again the best box left is taken and the others' scores are multiplied by a factor of their overlap o
    with it: 0 (naive) or ``1 - o`` (linear) where ``o >= iou_threshold``, ``exp(-o^2 / sigma)`` (gaussian)
    everywhere. Boxes whose score is then below ``min_score`` are dropped.

    Args:
        boxes: ``[n, 4]``.
        scores: ``[n]``.
        dets: Output, ``[n, 5]``; the first k rows become (x1, y1, x2, y2, lowered score) in the order taken.
        iou_threshold: Overlap from which naive and linear act.
        sigma: Width of the gaussian.
        min_score: Score below which a box is dropped.
        method: 0 naive, 1 linear, 2 gaussian.
        offset: 0 or 1, see the module.

    Returns:
        Indices of the k boxes taken, ``[k]``, int64.

    Source: Bodla et al., Soft-NMS, ICCV 2017, figure 2.
    """
    left = torch.arange(boxes.size(0), device=boxes.device)
    scores = scores.clone()
    taken: list[int] = []
    while left.numel():
        best = left[scores[left].argmax()]
        dets[len(taken), :4], dets[len(taken), 4] = boxes[best], scores[best]
        taken.append(int(best))
        left = left[left != best]
        overlaps = _iou(boxes[best], boxes[left], offset)
        scores[left] *= _soft_factor(overlaps, iou_threshold, sigma, method)
        left = left[~(scores[left] < min_score)]
    return torch.tensor(taken, dtype=torch.long, device=boxes.device)


def _soft_factor(overlaps: Tensor, iou_threshold: float, sigma: float, method: int) -> Tensor:
    """Factor of the score of a box that overlaps the taken one by ``overlaps``."""
    if method == GAUSSIAN:
        return torch.exp(-(overlaps**2) / sigma)
    lowered = 1 - overlaps if method == LINEAR else torch.zeros_like(overlaps)
    return torch.where(overlaps >= iou_threshold, lowered, torch.ones_like(overlaps))


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group boxes under the box that makes them fall.

    Args:
        dets: ``[n, 5]``, the fifth column is the score.
        iou_threshold: Overlap from which the lower score falls.

    Returns:
        One list of indices per kept box: first the kept one, then those that fell to it, by descending score.
    """
    left = dets[:, 4].argsort(descending=True, stable=True)
    groups: list[list[int]] = []
    while left.numel():
        best, left = left[0], left[1:]
        falls = _iou(dets[best, :4], dets[left, :4], offset=0) >= iou_threshold
        groups.append([int(best), *left[falls].tolist()])
        left = left[~falls]
    return groups
