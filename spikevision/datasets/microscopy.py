"""A real microscopy movie with instance labels, as tiles for detection, instance and semantic segmentation.

Cells close a scratch in their layer: ten frames of a fluorescence channel (nuclei) and an oblique-light channel, with a
label map of the nuclei and one of the cells. Some 1,600 objects, dense, the small ones on top of the large ones.

All frames are of one movie, so parts differ in time only: validation frames come last, and the frames between are left
out. Results on it show that training works; they compare with no published figure.

Source: ``scratch-assay-labeled-10T-2Ch.tiff`` of the package ndev-sampledata 0.0.3 (BSD-3).
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from spikevision.datasets.fetch import fetch
from spikevision.datasets.scene_folder import Instance, Scene, prepare_folder, write_part

__all__ = ["CATEGORIES", "CLASSES", "prepare_microscopy", "read_movie"]

NAME = "scratch-assay"
PACKAGE = "ndev-sampledata"
MEMBER = "ndev_sampledata/samples/scratch-assay-labeled-10T-2Ch.tiff"
SHAPE = (
    4,
    10,
    210,
    576,
)  # channel (nuclei image, oblique image, nuclei labels, cell labels), time, height, width
FRAMES = {"training": range(6), "validation": range(8, 10)}  # 6 and 7 keep the parts apart
TILES = 3  # per frame, side by side
CATEGORIES = ("cell", "nucleus")
CLASSES = ("background", "cell", "nucleus")
MIN_AREA_PX = (
    12  # what a tile border or the labelling left smaller is no object; its pixels keep their class
)
WINDOW_PERCENT = (0.5, 99.5)


def prepare_microscopy(root: str | Path = "data", *, cache: str | Path | None = None) -> Path:
    """Write ``<root>/scratch-assay`` (see :mod:`spikevision.datasets.scene_folder`): 18 and 6 tiles of 192x210.

    Does nothing when the folder is complete.

    Args:
        root: Folder for data sets.
        cache: Folder for the fetched package; None takes ``<root>/.cache``.

    Returns:
        The folder of the set.

    Raises:
        ValueError: The folder exists but was not made by this function, or the fetched data is not what was pinned.
        OSError: The data cannot be fetched or written.
    """

    def write(folder: Path) -> None:
        movie = read_movie(fetch(PACKAGE, cache=cache or Path(root) / ".cache"))
        images = to_rgb(movie[:2])
        for part, frames in FRAMES.items():
            scenes = (s for t in frames for s in tiles(t, images[t], movie[2, t], movie[3, t]))
            write_part(folder, part, scenes, categories=CATEGORIES, classes=CLASSES)

    manifest = {
        "name": NAME,
        "source": f"{PACKAGE}==0.0.3",
        "member": MEMBER,
        "frames": {part: list(frames) for part, frames in FRAMES.items()},
        "tiles": TILES,
        "min_area_px": MIN_AREA_PX,
        "categories": list(CATEGORIES),
        "classes": list(CLASSES),
    }
    return prepare_folder(Path(root) / NAME, manifest, write)


def read_movie(wheel: Path) -> np.ndarray:
    """The movie ``[4, T, H, W]`` uint16: nuclei image, oblique image, nuclei labels, cell labels.

    Raises:
        ValueError: The file in the package does not have the known shape.
    """
    with zipfile.ZipFile(wheel) as archive, Image.open(io.BytesIO(archive.read(MEMBER))) as file:
        pages = np.stack([np.array(page) for page in ImageSequence.Iterator(file)])
    channels, frames, height, width = SHAPE
    if pages.shape != (channels * frames, height, width):
        raise ValueError(f"{MEMBER} has pages {pages.shape}, not 4 channels of 10 frames")
    return pages.reshape(SHAPE)


def to_rgb(channels: np.ndarray) -> np.ndarray:
    """8-bit pictures ``[T, H, W, 3]`` of the two image channels: oblique light as red and blue, nuclei as green.

    Each channel is cut to one range for the whole movie, percentiles of the training frames alone.
    """
    training = channels[:, list(FRAMES["training"])]
    low, high = np.percentile(training, WINDOW_PERCENT, axis=(1, 2, 3))
    window = (slice(None), None, None, None)
    scaled = (channels - low[window]) / (high - low)[window]
    nuclei, oblique = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return np.stack([oblique, nuclei, oblique], axis=-1)


def tiles(frame: int, image: np.ndarray, nuclei: np.ndarray, cells: np.ndarray) -> Iterator[Scene]:
    """Scenes of one frame, from left to right.

    Args:
        frame: Number of the frame.
        image: ``[H, W, 3]``.
        nuclei: Number of the nucleus of each pixel, 0 where there is none, ``[H, W]``.
        cells: The same for the cells.
    """
    width = image.shape[1] // TILES
    for tile in range(TILES):
        cut = (slice(None), slice(tile * width, (tile + 1) * width))
        semantic = np.where(nuclei[cut] > 0, 2, np.where(cells[cut] > 0, 1, 0))
        instances = [*objects(0, cells[cut]), *objects(1, nuclei[cut])]
        yield Scene(f"frame{frame:02d}_tile{tile}", image[cut], semantic, instances)


def objects(category: int, labels: np.ndarray) -> Iterator[Instance]:
    """The numbered objects of a label map that are large enough."""
    for number in np.unique(labels[labels > 0]):
        mask = labels == number
        if mask.sum() >= MIN_AREA_PX:
            yield Instance(category, mask)
