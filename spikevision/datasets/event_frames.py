"""Event-camera samples as frames ``[T, 2, H, W]``: read from class folders, or made from recordings and cached.

Between loading and packing a sample is an image of ``2 T`` channels, so that the stock transforms for images (Resize,
RandomFlip, RandomCrop, Pad) treat all of its time steps alike. A batch reaches the model as ``[N, T, 2, H, W]``
through mmpretrain's stock ClsDataPreprocessor (with ``to_rgb=False``).
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.transforms import PackInputs

from spikevision.datasets.event_files import read_recording
from spikevision.registry import DATASETS, TRANSFORMS

KEY = "frames"
POLARITIES = 2
SPLITS = ("count", "time")


@DATASETS.register_module()
class EventFrameFolder(CustomDataset):
    """Event frames as ``<data_root>/<data_prefix>/<class>/<sample>.npz`` (key ``frames``) or ``.npy``.

    Takes the arguments of mmpretrain's CustomDataset.
    """

    def __init__(self, *, extensions: tuple[str, ...] = (".npz", ".npy"), **kwargs: Any) -> None:
        super().__init__(extensions=extensions, **kwargs)


@TRANSFORMS.register_module()
class LoadEventFrames(BaseTransform):
    """Read event frames ``[T, 2, H, W]`` and add them as ``img``, ``[H, W, 2 T]`` float32.

    Args:
        time_steps: Number of frames that each sample has to have; None takes what is there.
    """

    def __init__(self, *, time_steps: int | None = None) -> None:
        if time_steps is not None and time_steps < 1:
            raise ValueError(f"time_steps is {time_steps}; it has to be at least 1")
        self.time_steps = time_steps

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` and its shape.

        Raises:
            ValueError: The file cannot be read or holds something else; names the file.
        """
        path = results["img_path"]
        frames = read_event_frames(path)
        if self.time_steps is not None and len(frames) != self.time_steps:
            raise ValueError(f"{path!r} has {len(frames)} frames, time_steps is {self.time_steps}")
        return _with_image(results, frames)


@TRANSFORMS.register_module()
class LoadEventRecording(BaseTransform):
    """Read a recording in its original format, count its events in frames, and add them as ``img``, ``[H, W, 2 T]``.

    With a cache the recording is read once: frames are kept as one ``.npz`` per sample, named by a hash of the file
    and of everything that the frames depend on, so that other settings never meet old frames. A file appears under
    its name only when it is whole.

    Args:
        time_steps: Number of frames T.
        split_by: ``count``: frames of equally many events; ``time``: frames of equal duration.
        sensor: Width and height of the frames; events outside are an error.
        cache: Folder for the frames, or None.
        sort_events: Whether events that are out of order are sorted, or an error.

    Raises:
        ValueError: For an impossible setting.
    """

    def __init__(
        self,
        *,
        time_steps: int,
        sensor: tuple[int, int],
        split_by: str = "count",
        cache: str | None = None,
        sort_events: bool = False,
    ) -> None:
        if time_steps < 1:
            raise ValueError(f"time_steps is {time_steps}; it has to be at least 1")
        if split_by not in SPLITS:
            raise ValueError(f"split_by is {split_by!r}; it can be {' or '.join(SPLITS)}")
        self.time_steps = time_steps
        self.sensor = (int(sensor[0]), int(sensor[1]))
        self.split_by = split_by
        self.cache = Path(cache) if cache else None
        self.sort_events = sort_events

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` and its shape; ``span_us``, if the sample has it, is the part of the recording to take.

        Raises:
            ValueError: The recording is not right, as :func:`read_recording` says, or the part holds no event.
        """
        kept = self._cached_path(results)
        if kept is None:
            return _with_image(results, self._frames(results))
        try:
            frames = read_event_frames(kept)
        except ValueError:  # not there, or damaged
            frames = self._frames(results)
            _save(kept, frames)
        return _with_image(results, frames)

    def _frames(self, results: dict[str, Any]) -> np.ndarray:
        path = results["img_path"]
        events = read_recording(path, sort=self.sort_events).events
        span = results.get("span_us")
        if span is not None:
            events = events[(events["t"] >= span[0]) & (events["t"] < span[1])]
        try:
            return count_events(
                events, time_steps=self.time_steps, split_by=self.split_by, sensor=self.sensor
            )
        except ValueError as error:
            part = "" if span is None else f" from {span[0]} to {span[1]} us"
            raise ValueError(f"recording {str(path)!r}{part}: {error}") from error

    def _cached_path(self, results: dict[str, Any]) -> Path | None:
        if self.cache is None:
            return None
        path = Path(results["img_path"])
        state = path.stat()
        depends_on = [
            str(path.resolve()),
            state.st_size,
            state.st_mtime_ns,
            results.get("span_us"),
            self.time_steps,
            self.split_by,
            self.sensor,
            self.sort_events,
        ]
        digest = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:16]
        return self.cache / f"{path.stem}.{digest}.npz"


@TRANSFORMS.register_module()
class PackEventFrames(PackInputs):
    """mmpretrain's PackInputs for event frames: ``img`` ``[H, W, 2 T]`` becomes ``inputs`` ``[T, 2, H, W]``."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        height, width, channels = results["img"].shape
        frames = results["img"].transpose(2, 0, 1)
        frames = frames.reshape(channels // POLARITIES, POLARITIES, height, width)
        return super().transform({**results, "img": np.ascontiguousarray(frames)})


def count_events(
    events: np.ndarray, *, time_steps: int, split_by: str, sensor: tuple[int, int]
) -> np.ndarray:
    """Number of events of each polarity at each pixel, in T frames.

    By ``count`` each frame takes ``N // T`` events in their order, by ``time`` each takes ``(t_last - t_first) // T``
    microseconds; the last frame takes the rest.

    Args:
        events: Array of :data:`~spikevision.datasets.event_files.EVENT`, in order of time.
        time_steps: Number of frames T.
        split_by: ``count`` or ``time``.
        sensor: Width W and height H.

    Returns:
        ``[T, 2, H, W]`` uint16; polarity 1, brighter, is the second channel.

    Raises:
        ValueError: There are fewer events than frames, or one is outside the sensor.

    Source: Fang et al., SpikingJelly, Science Advances 2023, integration by a fixed number of frames.
    """
    width, height = sensor
    if len(events) < time_steps:
        raise ValueError(f"{len(events)} events do not fill {time_steps} frames")
    if events["x"].max() >= width or events["y"].max() >= height:
        raise ValueError(
            f"an event is at ({events['x'].max()}, {events['y'].max()}) or beyond, outside the sensor of "
            f"{width}x{height}"
        )
    if split_by == "count":
        frame = np.arange(len(events)) // (len(events) // time_steps)
    else:
        since = events["t"] - events["t"][0]
        frame = since // max(int(since[-1]) // time_steps, 1)
    frame = np.minimum(frame, time_steps - 1)
    shape = (time_steps, POLARITIES, height, width)
    cell = np.ravel_multi_index((frame, events["p"], events["y"], events["x"]), shape)
    counts = np.bincount(cell, minlength=int(np.prod(shape)))
    return np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16).reshape(shape)


def _with_image(results: dict[str, Any], frames: np.ndarray) -> dict[str, Any]:
    """Add frames to a sample as an image of ``2 T`` channels."""
    steps, polarities, height, width = frames.shape
    image = frames.reshape(steps * polarities, height, width).transpose(1, 2, 0)
    results["img"] = np.ascontiguousarray(image, dtype=np.float32)
    results["img_shape"] = results["ori_shape"] = (height, width)
    return results


def _save(path: Path, frames: np.ndarray) -> None:
    """Write frames so that another process never meets half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez_compressed(file, frames=frames)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_event_frames(path: str | Path) -> np.ndarray:
    """Frames ``[T, 2, H, W]`` of one sample, in the type of the file.

    Raises:
        ValueError: The file cannot be read, has no ``frames``, or they have another shape; names the file.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        frames = loaded[KEY] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except Exception as error:  # zip, header and pickle errors are many
        raise ValueError(f"cannot read event frames {str(path)!r}: {error}") from error
    if frames.ndim != 4 or frames.shape[1] != POLARITIES or 0 in frames.shape:
        raise ValueError(f"{str(path)!r} holds {list(frames.shape)}, event frames are [T, 2, H, W]")
    return frames
