"""mmdet's RoI extractor and RoI heads on ``[T, N, C, H, W]``."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmengine.model import ModuleList
from torch import Tensor

from spikevision.ops.time_axis import fold_time
from spikevision.registry import MODELS

__all__ = ["SpikingCascadeRoIHead", "SpikingRoIExtractor", "SpikingStandardRoIHead"]


@MODELS.register_module()
class SpikingRoIExtractor(SingleRoIExtractor):
    """Pools all time steps of a level in one RoIAlign call, by folding time into the images.

    Arguments are those of mmdet's ``SingleRoIExtractor``.
    """

    def forward(
        self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: float | None = None
    ) -> Tensor:
        """Pool.

        Args:
            feats: Membrane potentials ``[T, N, C, H_i, W_i]``, one map per stride.
            rois: ``[R, 5]``: image index, x1, y1, x2, y2 in pixels.
            roi_scale_factor: Factor by which to enlarge the boxes.

        Returns:
            ``[T, R, C, h, w]``, at least in float32: half precision cannot hold box coordinates.
        """
        time_steps, images = feats[0].shape[:2]
        wide = torch.promote_types(feats[0].dtype, torch.float32)
        repeated = rois.to(wide).repeat(time_steps, 1)
        steps = torch.arange(time_steps, device=rois.device).repeat_interleave(len(rois))
        repeated[:, 0] += steps * images
        folded = tuple(fold_time(x).to(wide) for x in feats)
        pooled = super().forward(folded, repeated, roi_scale_factor)
        return pooled.unflatten(0, (time_steps, len(rois)))


def _swap(maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Views with time and images exchanged."""
    return tuple(x.transpose(0, 1) for x in maps)


class _ImagesFirst:
    """What both RoI heads need: mmdet's code takes image i of a map as ``x[i]`` (for its samplers).

    So maps are ``[N, T, C, H, W]`` views inside a RoI head, and turn back at the extractor. Nothing is copied.
    """

    def forward(self, x: Sequence[Tensor], *args: Any, **kwargs: Any) -> tuple:
        """Raw outputs for maps ``[T, N, C, H, W]``."""
        return super().forward(_swap(x), *args, **kwargs)

    def loss(self, x: Sequence[Tensor], *args: Any, **kwargs: Any) -> dict:
        """Losses for maps ``[T, N, C, H, W]``."""
        return super().loss(_swap(x), *args, **kwargs)

    def predict(self, x: Sequence[Tensor], *args: Any, **kwargs: Any) -> list:
        """Detections for maps ``[T, N, C, H, W]``."""
        return super().predict(_swap(x), *args, **kwargs)


@MODELS.register_module()
class SpikingStandardRoIHead(_ImagesFirst, StandardRoIHead):
    """mmdet's ``StandardRoIHead`` on maps ``[T, N, C, H, W]``; its parts average over time."""

    def init_mask_head(self, mask_roi_extractor: dict | None, mask_head: dict) -> None:
        """Build the mask head.

        Raises:
            ValueError: If there is no extractor for it (mmdet would share the box features, images first).
        """
        if mask_roi_extractor is None:
            raise ValueError("a spiking mask head needs its own mask_roi_extractor")
        super().init_mask_head(mask_roi_extractor, mask_head)

    def _bbox_forward(self, x: Sequence[Tensor], rois: Tensor) -> dict:
        return super()._bbox_forward(_swap(x), rois)

    def _mask_forward(self, x: Sequence[Tensor], rois: Tensor) -> dict:
        return super()._mask_forward(_swap(x), rois)


@MODELS.register_module()
class SpikingCascadeRoIHead(_ImagesFirst, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` on maps ``[T, N, C, H, W]``; its parts average over time."""

    def init_mask_head(self, *args: Any, **kwargs: Any) -> None:
        """Build the mask heads, in a list that hands mmengine's ``init_weights`` on (mmdet's does not)."""
        super().init_mask_head(*args, **kwargs)
        self.mask_head = ModuleList(self.mask_head)

    def _bbox_forward(self, stage: int, x: Sequence[Tensor], rois: Tensor) -> dict:
        return super()._bbox_forward(stage, _swap(x), rois)

    def _mask_forward(self, stage: int, x: Sequence[Tensor], rois: Tensor) -> dict:
        return super()._mask_forward(stage, _swap(x), rois)
