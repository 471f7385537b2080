"""Images and videos: find them, read them picture by picture, and write pictures in the same form."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from spikevision.jobs.files import write_atomically

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
CODEC = "mp4v"  # in every build of OpenCV
DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class Medium:
    """An image or a video.

    Args:
        path: Where it is.
        name: Its path below the given input, by which what is made of it is named.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether it is a video, by its suffix."""
        return self.path.suffix.lower() in VIDEOS

    @property
    def stem(self) -> str:
        """Name for what is made of it; a.jpg stays apart from a.png."""
        return self.name.removesuffix(".png")

    @property
    def picture(self) -> str:
        """Name of its annotated picture or video."""
        return f"{self.stem.removesuffix('.mp4')}.mp4" if self.is_video else f"{self.stem}.png"


@dataclass(frozen=True)
class Shot:
    """One picture of a medium.

    Args:
        medium: The image, or the video that it is a frame of.
        frame: Number of the frame, from 0; None for an image.
        bgr: Pixels ``[H, W, 3]`` of a frame; None for an image, which the config's own transform reads.
    """

    medium: Medium
    frame: int | None = None
    bgr: np.ndarray | None = None

    @property
    def name_in_input(self) -> str:
        """Name of the medium and, in a video, number of the frame."""
        return self.medium.name if self.frame is None else f"{self.medium.name}#{self.frame}"

    @property
    def name(self) -> str:
        """Name for what is made of it."""
        number = "" if self.frame is None else f"/{self.frame:06d}"
        return self.medium.stem + number


def find_media(inputs: Path) -> list[Medium]:
    """The images and videos of an input, sorted.

    Raises:
        FileNotFoundError: No such file or folder.
        ValueError: The folder holds neither.
    """
    if inputs.is_file():
        return [Medium(inputs, inputs.name)]
    if not inputs.is_dir():
        raise FileNotFoundError(f"image, video or folder {str(inputs)!r} does not exist")
    found = sorted(p for p in inputs.rglob("*") if p.suffix.lower() in IMAGES + VIDEOS)
    if not found:
        raise ValueError(
            f"the folder {str(inputs)!r} holds no image ({', '.join(IMAGES)}) and no video ({', '.join(VIDEOS)})"
        )
    return [Medium(path, path.relative_to(inputs).as_posix()) for path in found]


def count_shots(media: Sequence[Medium]) -> int:
    """Number of pictures, as far as the videos tell it."""
    return sum(_frame_count(medium.path) if medium.is_video else 1 for medium in media)


def shots_of(medium: Medium) -> Iterator[Shot]:
    """The pictures of a medium.

    Raises:
        ValueError: A video cannot be read, or ends before the frame that it says is its last one.
    """
    if not medium.is_video:
        yield Shot(medium)
        return
    with _open_video(medium.path) as capture:
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        frame = 0
        while True:
            there, bgr = capture.read()
            if not there:
                break
            yield Shot(medium, frame, bgr)
            frame += 1
    if frame == 0:
        raise ValueError("no frame of the video can be decoded")
    if frame < expected:
        raise ValueError(f"the video ends after {frame} of {expected} frames")


@contextmanager
def picture_writer(medium: Medium, folder: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that takes the annotated pictures ``[H, W, 3]`` (RGB) of a medium one after the other.

    They become ``folder / medium.picture``: a PNG, or an MP4 with the frame rate of the video.
    """
    path = folder / medium.picture
    if not medium.is_video:
        yield lambda rgb: write_image(path, rgb)
        return
    writer = cv2.VideoWriter()

    def write(rgb: np.ndarray) -> None:
        if not writer.isOpened():
            path.parent.mkdir(parents=True, exist_ok=True)
            size = (rgb.shape[1], rgb.shape[0])
            code = cv2.VideoWriter.fourcc(*CODEC)
            if not writer.open(str(path), code, _fps(medium.path), size):
                raise OSError(f"cannot write the video {str(path)!r}")
        writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    try:
        yield write
    finally:
        writer.release()


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write a picture ``[H, W, 3]`` in the format of the path's suffix, whole or not at all."""
    done, content = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    assert done
    write_atomically(path, content.tobytes())


@contextmanager
def _open_video(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(str(path))
    try:
        yield capture
    finally:
        capture.release()


def _frame_count(path: Path) -> int:
    with _open_video(path) as capture:
        return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 1)


def _fps(path: Path) -> float:
    with _open_video(path) as capture:
        return float(capture.get(cv2.CAP_PROP_FPS)) or DEFAULT_FPS
