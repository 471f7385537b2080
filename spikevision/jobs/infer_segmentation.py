"""A segmenter's answer as an indexed PNG and as a picture with a legend."""

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from PIL import Image

from spikevision.jobs.classes import Classes
from spikevision.jobs.files import write_atomically
from spikevision.jobs.infer_task import Setting, enlarge
from spikevision.jobs.media import Shot

MAPS = "class_maps"
MAX_CLASSES = 256  # that an indexed PNG can tell apart
OPACITY = 0.6
LEGEND_WIDTH_PX, LEGEND_ROW_PX, LEGEND_ROWS = 180, 20, 12


class ClassMaps:
    """Per picture ``class_map`` (path of an indexed PNG) and ``shares`` (share of the pixels of each class seen).

    A pixel of the PNG holds the index of its class, from 0 in the order of ``classes`` in ``predictions.json``, and
    shows in the class's colour.

    Raises:
        ValueError: More classes than an indexed PNG can tell apart.
    """

    def __init__(self, setting: Setting) -> None:
        self._classes = setting.classes
        self._folder = setting.folder
        names = setting.classes.names
        if len(names) > MAX_CLASSES:
            raise ValueError(f"{len(names)} classes; an indexed PNG holds {MAX_CLASSES} at most")
        self._visualizer = SegLocalVisualizer(alpha=OPACITY)
        self._visualizer.set_dataset_meta(list(names), list(setting.classes.colors))

    @staticmethod
    def count_classes(model: Any) -> int:
        """Number of classes of a segmenter."""
        return int(model.decode_head.num_classes)

    def add(
        self, shot: Shot, rgb: np.ndarray, result: SegDataSample
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Write the class map of a picture; the picture gets the colours of the classes and a legend."""
        class_map = result.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        path = self._folder / MAPS / f"{shot.name}.png"
        write_class_map(path, class_map, self._classes.colors)
        pixels = np.bincount(class_map.ravel(), minlength=len(self._classes.names))
        shares = pixels / class_map.size
        seen = [int(label) for label in np.argsort(-shares, kind="stable") if shares[label]]
        names = self._classes.names
        entry = {
            "class_map": path.relative_to(self._folder).as_posix(),
            "shares": {names[label]: round(float(shares[label]), 6) for label in seen},
        }
        self._visualizer.add_datasample("", rgb, result, draw_gt=False, with_labels=False)
        picture, _ = enlarge(self._visualizer.get_image())
        return entry, with_legend(picture, seen, shares, self._classes)

    def files(self) -> dict[str, Any]:
        """No JSON file besides the list of predictions."""
        return {}


def write_class_map(path: Any, class_map: np.ndarray, colors: Sequence[Sequence[int]]) -> None:
    """Write class indices ``[H, W]`` (uint8) as an indexed PNG in the colours of the classes."""
    picture = Image.fromarray(class_map, mode="P")
    picture.putpalette([value for color in colors for value in color])
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


def with_legend(
    rgb: np.ndarray, seen: Sequence[int], shares: np.ndarray, classes: Classes
) -> np.ndarray:
    """The picture with a legend on its right: the classes seen and their shares, the largest first.

    Its size depends on the picture's size and the number of all classes alone, so frames of a video stay equal.
    """
    rows = min(len(classes.names), LEGEND_ROWS)
    height = max(rgb.shape[0], (rows + 1) * LEGEND_ROW_PX)
    canvas = np.full((height, rgb.shape[1] + LEGEND_WIDTH_PX, 3), 255, dtype=np.uint8)
    canvas[: rgb.shape[0], : rgb.shape[1]] = rgb
    left = rgb.shape[1] + 8
    for row, label in enumerate(seen[:rows]):
        top = 6 + row * LEGEND_ROW_PX
        cv2.rectangle(canvas, (left, top), (left + 12, top + 12), classes.colors[label], cv2.FILLED)
        _write(canvas, f"{classes.names[label]} {shares[label]:.1%}", left + 20, top + 11)
    if len(seen) > rows:
        _write(canvas, f"and {len(seen) - rows} more", left + 20, 17 + rows * LEGEND_ROW_PX)
    return canvas


def _write(canvas: np.ndarray, text: str, left: int, bottom: int) -> None:
    font, scale, black = cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0)
    cv2.putText(canvas, text, (left, bottom), font, scale, black, 1, cv2.LINE_AA)
