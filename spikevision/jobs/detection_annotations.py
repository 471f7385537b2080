"""Check COCO annotations before training: mmdet drops some faults without a word and meets others in the middle.

What would stop a run, or train on something else than the data says, is an error that names file and annotations. What
mmdet leaves out (objects without area, crowds, classes that are not asked for) stays left out, and is counted.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

__all__ = ["check_annotations", "check_detection_data", "read_coco"]

SHOWN = 5
SIZED = ("id", "file_name", "width", "height")


def check_detection_data(
    dataset: Mapping[str, Any], *, classes: tuple[str, ...], model: Mapping[str, Any]
) -> None:
    """Check the annotation file of a ``CocoDataset`` against the data and the heads of a config.

    Args:
        dataset: Config of the dataset; its ``ann_file`` is there.
        classes: Names of its classes.
        model: Config of the model.

    Raises:
        ValueError: The file is not whole, or holds no object to train on, or does not fit classes, pipeline or heads; says
            where.
    """
    for name, count in _class_counts(model):
        if count != len(classes):
            raise ValueError(
                f"{name}.num_classes is {count}, the data has {len(classes)} classes: set num_classes={len(classes)}, "
                "or name the classes of the data in dataset.metainfo.classes"
            )
    path = Path(dataset.get("data_root") or "") / dataset["ann_file"]
    with_mask = any(step.get("with_mask") for step in dataset.get("pipeline") or [])
    used, left_out = check_annotations(path, classes=classes, with_mask=with_mask)
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    if not used and not dataset.get("test_mode"):
        raise ValueError(f"{path} holds no object to train on (left out: {counts or 'none'})")
    if counts or not used:
        text = f"{path}: {used} annotations are used, left out are {counts or 'none'}"
        MMLogger.get_current_instance().warning(text)


def check_annotations(
    path: str | Path, *, classes: tuple[str, ...], with_mask: bool
) -> tuple[int, Counter[str]]:
    """Check an annotation file.

    Args:
        path: COCO JSON.
        classes: Names of the classes that are asked for.
        with_mask: Whether masks are needed.

    Returns:
        Number of annotations that mmdet uses, and what it leaves out: reason -> number of annotations.

    Raises:
        ValueError: Something would fail or be trained on wrongly; lists the first annotations of each kind.
    """
    content = read_coco(path)
    images = {image["id"]: image for image in content["images"]}
    names = {category["id"]: category["name"] for category in content["categories"]}
    missing = [name for name in classes if name not in names.values()]
    if missing:
        raise ValueError(
            f"{path} has no category {', '.join(map(repr, missing[:SHOWN]))} (it has "
            f"{', '.join(map(repr, list(names.values())[:SHOWN]))} ...): the labels of all classes behind it would be "
            "wrong. Set dataset.metainfo.classes to the categories of the file"
        )
    faults: dict[str, list[Any]] = {}
    left_out: Counter[str] = Counter()
    annotations = content.get("annotations", [])
    for annotation in annotations:
        fault, reason = _judge(annotation, images, names, classes=classes, with_mask=with_mask)
        if fault:
            faults.setdefault(fault, []).append(annotation.get("id", "without id"))
        elif reason:
            left_out[reason] += 1
    if faults:
        lists = "; ".join(
            f"{len(ids)} annotations {fault} (id {_few(ids)})" for fault, ids in faults.items()
        )
        raise ValueError(f"{path}: {lists}. Repair or remove these annotations")
    return len(annotations) - left_out.total(), left_out


def read_coco(path: str | Path) -> dict[str, Any]:
    """Read COCO JSON.

    Raises:
        ValueError: It is cut off or no COCO file, lists no image, or an image without a size.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} is no whole JSON file ({error}): it may have been cut off, get it again"
        ) from error
    absent = {"images", "categories"} - set(content if isinstance(content, dict) else ())
    if absent:
        raise ValueError(f"{path} is no COCO annotation file: it has no {sorted(absent)}")
    if not content["images"]:
        raise ValueError(f"{path} lists no image: there is nothing to train or to evaluate on")
    sizeless = [
        image.get("id") for image in content["images"] if any(key not in image for key in SIZED)
    ]
    if sizeless:
        raise ValueError(f"{path}: the images {_few(sizeless)} lack one of {', '.join(SIZED)}")
    return dict(content)


def _judge(
    annotation: Mapping[str, Any],
    images: Mapping[Any, Mapping[str, Any]],
    names: Mapping[Any, str],
    *,
    classes: tuple[str, ...],
    with_mask: bool,
) -> tuple[str, str]:
    """Fault of an annotation, and why mmdet leaves it out; empty where there is none. In mmdet's order."""
    image = images.get(annotation.get("image_id"))
    if image is None:
        return "", "of images that the file does not list"
    if annotation.get("category_id") not in names:
        return "of a category that the file does not list", ""
    if not _is_box(annotation.get("bbox")):
        return "without a bbox of four finite numbers", ""
    if not isinstance(annotation.get("area"), (int, float)):
        return "without an area", ""
    if annotation.get("ignore"):
        return "", "marked to be ignored"
    if not _has_area(annotation, image):
        return "", "outside of their image or smaller than a pixel"
    if names[annotation["category_id"]] not in classes:
        return "", "of other classes"
    fault, reason = _judge_mask(annotation, image) if with_mask else ("", "")
    if annotation.get("iscrowd"):
        return fault, "of crowds"
    return fault, reason


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in box)
    )


def _has_area(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> bool:
    left, top, width, height = annotation["bbox"]
    inside_x = min(left + width, image["width"]) - max(left, 0)
    inside_y = min(top + height, image["height"]) - max(top, 0)
    return min(inside_x, inside_y, annotation["area"]) > 0 and min(width, height) >= 1


def _judge_mask(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[str, str]:
    mask = annotation.get("segmentation")
    if not mask:
        return "without a mask (segmentation)", ""
    if isinstance(mask, Mapping):
        size = [image["height"], image["width"]]
        return (
            "" if mask.get("size") == size else "with a mask of another size than the image"
        ), ""
    if not isinstance(mask, list) or any(not isinstance(part, list) for part in mask):
        return "with a mask that is neither polygons nor RLE", ""
    usable = any(len(part) >= 6 and len(part) % 2 == 0 for part in mask)
    return "", "" if usable else "with polygons of fewer than three points"


def _class_counts(model: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and number of classes of the heads that have one."""
    roi_head = model.get("roi_head") or {}
    for prefix, parts in (("model.", model), ("model.roi_head.", roi_head)):
        for name in ("bbox_head", "mask_head"):
            heads = parts.get(name) or []
            for head in heads if isinstance(heads, (list, tuple)) else [heads]:
                if "num_classes" in head:
                    yield prefix + name, head["num_classes"]


def _few(ids: list[Any]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(map(str, ids[:SHOWN])) + more
