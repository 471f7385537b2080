"""Event-camera samples as frames ``[T, 2, H, W]`` in class folders.

Between loading and packing a sample is an image of ``2 T`` channels, so that the stock transforms for images (Resize,
RandomFlip, RandomCrop, Pad) treat all of its time steps alike. A batch reaches the model as ``[N, T, 2, H, W]``
through mmpretrain's stock ClsDataPreprocessor (with ``to_rgb=False``).
"""

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.transforms import PackInputs

from spikevision.registry import DATASETS, TRANSFORMS

KEY = "frames"
POLARITIES = 2


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
        steps, polarities, height, width = frames.shape
        image = frames.reshape(steps * polarities, height, width).transpose(1, 2, 0)
        results["img"] = np.ascontiguousarray(image, dtype=np.float32)
        results["img_shape"] = results["ori_shape"] = (height, width)
        return results


@TRANSFORMS.register_module()
class PackEventFrames(PackInputs):
    """mmpretrain's PackInputs for event frames: ``img`` ``[H, W, 2 T]`` becomes ``inputs`` ``[T, 2, H, W]``."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample."""
        height, width, channels = results["img"].shape
        frames = results["img"].transpose(2, 0, 1)
        frames = frames.reshape(channels // POLARITIES, POLARITIES, height, width)
        return super().transform({**results, "img": np.ascontiguousarray(frames)})


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
