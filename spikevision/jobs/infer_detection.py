"""A detector's answer in COCO's results format and as a picture with boxes and masks."""

from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from torch import nn

from spikevision.jobs.detection_annotations import read_coco
from spikevision.jobs.infer_task import Setting, enlarge
from spikevision.jobs.media import Shot

RESULTS = "coco_results.json"
IMAGES = "coco_images.json"


class Detections:
    """Per picture ``image_id`` and the number of detections; the detections themselves in COCO's results format.

    ``coco_results.json`` is the list that ``pycocotools.COCO.loadRes`` takes: ``image_id``, ``category_id``, ``bbox``
    (left, top, width, height in pixels), ``score`` and, of a model with masks, ``segmentation`` (RLE).
    ``coco_images.json`` tells which image and category each id is. The ids are those of the config's annotation
    file where it has the image; otherwise they are counted from 1.
    """

    def __init__(self, setting: Setting) -> None:
        self._names = setting.classes.names
        self._threshold = setting.score_threshold
        self._visualizer = DetLocalVisualizer(line_width=2)
        self._visualizer.dataset_meta = {
            "classes": self._names,
            "palette": list(setting.classes.colors),
        }
        annotations = _test_annotations(setting.config)
        self._category_ids = _category_ids(annotations, self._names)
        self._image_ids = _image_ids(annotations, setting.config)
        self._next_id = max(self._image_ids.values(), default=0) + 1
        self._images: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []

    @staticmethod
    def count_classes(model: Any) -> int:
        """Number of classes of a detector."""
        head = model.roi_head.bbox_head if hasattr(model, "roi_head") else model.bbox_head
        stages: Any = head if isinstance(head, nn.ModuleList) else [head]
        return int(stages[-1].num_classes)

    def add(
        self, shot: Shot, rgb: np.ndarray, result: DetDataSample
    ) -> tuple[dict[str, Any], np.ndarray]:
        """The detections of a picture, and the picture with those whose score is above the threshold."""
        image_id = self._image_ids.get(shot.medium.path.resolve())
        if image_id is None:
            image_id, self._next_id = self._next_id, self._next_id + 1
        height, width = rgb.shape[:2]
        size = {"height": height, "width": width}
        self._images.append({"id": image_id, "file_name": shot.name_in_input, **size})
        found = self._coco_results(result, image_id)
        self._results += found
        entry = {"image_id": image_id, "detections": len(found)}
        return entry, self._draw(rgb, result)

    def files(self) -> dict[str, Any]:
        """Results in COCO's format, and what their ids stand for."""
        ids = zip(self._category_ids, self._names, strict=True)
        categories = [{"id": category_id, "name": name} for category_id, name in ids]
        return {RESULTS: self._results, IMAGES: {"images": self._images, "categories": categories}}

    def _coco_results(self, result: DetDataSample, image_id: int) -> list[dict[str, Any]]:
        instances = result.pred_instances.cpu()
        found = [
            {
                "image_id": image_id,
                "category_id": self._category_ids[label],
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
            }
            for (left, top, right, bottom), label, score in zip(
                instances.bboxes.tolist(),
                instances.labels.tolist(),
                instances.scores.tolist(),
                strict=True,
            )
        ]
        if "masks" in instances:
            masks = encode_mask_results(instances.masks.numpy())
            for detection, mask in zip(found, masks, strict=True):
                text = {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
                detection["segmentation"] = text
        return found

    def _draw(self, rgb: np.ndarray, result: DetDataSample) -> np.ndarray:
        picture, factor = enlarge(rgb)
        shown = result.cpu().clone()
        shown.pred_instances.bboxes = shown.pred_instances.bboxes * factor
        if "masks" in shown.pred_instances:
            masks = shown.pred_instances.pop("masks")
            shown.pred_instances.masks = masks.repeat_interleave(factor, 1).repeat_interleave(
                factor, 2
            )
        self._visualizer.add_datasample(
            "", picture, shown, draw_gt=False, pred_score_thr=self._threshold
        )
        return self._visualizer.get_image()


def _test_annotations(config: Config) -> dict[str, Any]:
    """The annotation file of the config's test data; empty where there is none."""
    dataset = config.test_dataloader.dataset
    path = Path(dataset.get("data_root") or "") / (dataset.get("ann_file") or "")
    return read_coco(path) if dataset.get("ann_file") and path.is_file() else {}


def _category_ids(annotations: dict[str, Any], names: tuple[str, ...]) -> list[int]:
    """COCO's category id of each class: that of the annotation file if it knows all of them, else from 1."""
    known = {
        category["name"]: int(category["id"]) for category in annotations.get("categories", [])
    }
    if set(names) <= set(known):
        return [known[name] for name in names]
    return list(range(1, len(names) + 1))


def _image_ids(annotations: dict[str, Any], config: Config) -> dict[Path, int]:
    """Image file -> its id in the annotation file."""
    dataset = config.test_dataloader.dataset
    folder = Path(dataset.get("data_root") or "") / (dataset.get("data_prefix") or {}).get(
        "img", ""
    )
    images = annotations.get("images", [])
    return {(folder / image["file_name"]).resolve(): int(image["id"]) for image in images}
