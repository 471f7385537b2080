"""Write scenes with masks for all three dense tasks: COCO JSON for instances, ADE20K-style PNGs for classes.

::

    <folder>/images/{training,validation}/<name>.png
    <folder>/annotations/{training,validation}/<name>.png          0 unlabelled, k the k-th semantic class
    <folder>/annotations/instances_{training,validation}.json      COCO, exact masks (RLE), category ids from 1
    <folder>/dataset.json                                          what it is made of
"""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

__all__ = ["PARTS", "Instance", "Scene", "prepare_folder", "write_part"]

PARTS = ("training", "validation")
MANIFEST = "dataset.json"


class Instance(NamedTuple):
    """One object of a scene.

    Attributes:
        category: Index of its category, from 0.
        mask: Its visible pixels, ``[H, W]`` bool, at least one.
    """

    category: int
    mask: np.ndarray


class Scene(NamedTuple):
    """One image with its labels.

    Attributes:
        name: Name without suffix, unique in its part.
        image: ``[H, W, 3]`` uint8, RGB.
        semantic: Index of the semantic class of each pixel, from 0, ``[H, W]``.
        instances: Its objects; may be none.
    """

    name: str
    image: np.ndarray
    semantic: np.ndarray
    instances: Sequence[Instance]


def prepare_folder(folder: Path, manifest: dict[str, Any], write: Callable[[Path], None]) -> Path:
    """Make a data folder unless it is there already; it appears under its name only when it is whole.

    Args:
        folder: Where the set shall be.
        manifest: What it is made of; a folder with another manifest is made anew.
        write: Writes the set into the (empty) folder that it is given.

    Returns:
        ``folder``.

    Raises:
        ValueError: The folder exists, but no function of this package made it.
    """
    record = folder / MANIFEST
    if folder.exists():
        if not record.is_file():
            raise ValueError(
                f"{str(folder)!r} exists and was not made by this command: move it away"
            )
        if json.loads(record.read_text()) == manifest:
            return folder
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    return partial.replace(folder)


def write_part(
    folder: Path,
    part: str,
    scenes: Iterable[Scene],
    *,
    categories: Sequence[str],
    classes: Sequence[str],
) -> None:
    """Write one part of a set in both forms.

    Args:
        folder: Folder of the set.
        part: ``training`` or ``validation``.
        scenes: The scenes; written one by one.
        categories: Names of the instance categories.
        classes: Names of the semantic classes.
    """
    assert part in PARTS
    assert len(classes) < 255
    images = folder / "images" / part
    annotations = folder / "annotations" / part
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    coco: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
    }
    for scene in scenes:
        assert scene.semantic.max() < len(classes)
        Image.fromarray(scene.image).save(images / f"{scene.name}.png")
        Image.fromarray((scene.semantic + 1).astype(np.uint8)).save(
            annotations / f"{scene.name}.png"
        )
        _add_to_coco(coco, scene)
    path = folder / "annotations" / f"instances_{part}.json"
    path.write_text(json.dumps(coco))


def _add_to_coco(coco: dict[str, list[dict[str, Any]]], scene: Scene) -> None:
    height, width = scene.semantic.shape
    image_id = len(coco["images"]) + 1
    coco["images"].append(
        {"id": image_id, "file_name": f"{scene.name}.png", "height": height, "width": width}
    )
    for instance in scene.instances:
        encoded = coco_mask.encode(np.asfortranarray(instance.mask, dtype=np.uint8))
        coco["annotations"].append(
            {
                "id": len(coco["annotations"]) + 1,
                "image_id": image_id,
                "category_id": instance.category + 1,
                "bbox": coco_mask.toBbox(encoded).tolist(),
                "area": int(coco_mask.area(encoded)),
                "iscrowd": 0,
                "segmentation": {
                    "size": list(encoded["size"]),
                    "counts": encoded["counts"].decode("ascii"),
                },
            }
        )
