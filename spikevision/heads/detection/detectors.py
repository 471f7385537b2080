"""mmdet's detectors, checked when they are built: anchors and RoI extractors stand on the true strides.

``type='spikevision.MaskRCNN'`` builds ``mmdet.MaskRCNN`` itself and then compares. Nothing is subclassed: a config
that names mmdet's type builds the same model without the check.
"""

from collections.abc import Callable, Iterator
from typing import Any

from mmdet.models import detectors
from torch import nn

from spikevision.registry import MODELS

__all__ = ["check_strides"]


def check_strides(detector: nn.Module) -> nn.Module:
    """Compare the strides of anchors, points and RoI extractors with those that backbone and neck declare.

    Args:
        detector: A detector of mmdet on a backbone of spikevision.

    Returns:
        ``detector``.

    Raises:
        ValueError: If they differ, or backbone or neck declares none.
    """
    parts = [detector.backbone, *([detector.neck] if detector.with_neck else [])]
    for part in parts:
        if not hasattr(part, "feature_specs"):
            raise ValueError(
                f"{type(part).__name__} declares no feature_specs(): use a backbone and neck of spikevision, or "
                f"type='mmdet.{type(detector).__name__}' without this check"
            )
    specs = parts[0].feature_specs()
    if detector.with_neck:
        specs = detector.neck.feature_specs(specs)
    true = [spec.stride for spec in specs]
    for name, strides, all_levels in _strides_in_use(detector):
        expected = true if all_levels else true[: len(strides)]
        if strides != expected:
            raise ValueError(
                f"{name} stands on strides {strides}, but the feature maps have {true}: set it to {expected}"
            )
    return detector


def _strides_in_use(detector: nn.Module) -> Iterator[tuple[str, list[int], bool]]:
    """Name and strides of every part that has them, and whether it uses all levels or the first ones."""
    for name in ("rpn_head", "bbox_head"):
        generator = getattr(getattr(detector, name, None), "prior_generator", None)
        if generator is not None:
            yield f"{name}.prior_generator", [width for width, _ in generator.strides], True
    for name in ("bbox_roi_extractor", "mask_roi_extractor"):
        extractor = getattr(getattr(detector, "roi_head", None), name, None)
        for each in extractor if isinstance(extractor, nn.ModuleList) else [extractor]:
            if each is not None:
                yield f"roi_head.{name}", list(each.featmap_strides), False


def _checked(detector: type[nn.Module]) -> Callable[..., nn.Module]:
    def build(*args: Any, **kwargs: Any) -> nn.Module:
        return check_strides(detector(*args, **kwargs))

    return build


for _name in ("CascadeRCNN", "FCOS", "FasterRCNN", "MaskRCNN", "RetinaNet"):
    MODELS.register_module(name=_name, module=_checked(getattr(detectors, _name)))
