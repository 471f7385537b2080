"""Read pictures and prepare them for a model as its config's test data are."""

from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from spikevision.jobs.media import Shot


class Reader:
    """Reads pictures and prepares them as the config's test data are; annotations are not asked for.

    Args:
        config: Config with a ``test_dataloader``.

    Raises:
        ValueError: The config has no test data.
    """

    def __init__(self, config: Config) -> None:
        dataset = (config.get("test_dataloader") or {}).get("dataset")
        if not dataset or not dataset.get("pipeline"):
            raise ValueError(
                "the config has no test_dataloader.dataset.pipeline to prepare images with"
            )
        load, *rest = (s for s in dataset["pipeline"] if "Annotations" not in str(s["type"]))
        self._load = Compose([load])
        self._grey = load.get("color_type") == "grayscale"
        self._prepare = Compose(rest)

    def read(self, shot: Shot) -> tuple[np.ndarray, dict[str, Any]]:
        """Pixels ``[H, W, 3]`` (RGB, uint8) for people and the sample for the model.

        Raises:
            ValueError: The picture cannot be read or prepared.
        """
        try:
            loaded = self._frame(shot) if shot.bgr is not None else self._image(shot)
            pixels = loaded["img"].clip(0, 255).astype(np.uint8)
            return _rgb(pixels), self._prepare(loaded)
        except Exception as error:  # decoders raise whatever they like
            raise ValueError(str(error) or type(error).__name__) from error

    def _image(self, shot: Shot) -> dict[str, Any]:
        loaded = self._load({"img_path": str(shot.medium.path), "img_id": 0})
        if loaded is None:  # a loading transform with on_error='skip'
            raise ValueError("cannot be read")
        return dict(loaded)

    def _frame(self, shot: Shot) -> dict[str, Any]:
        assert shot.bgr is not None
        pixels = cv2.cvtColor(shot.bgr, cv2.COLOR_BGR2GRAY) if self._grey else shot.bgr
        size = pixels.shape[:2]
        path = f"{shot.medium.path}#{shot.frame}"
        return {"img": pixels, "img_path": path, "img_id": 0, "img_shape": size, "ori_shape": size}


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Grey ``[H, W]`` or blue-green-red ``[H, W, 3]`` as red-green-blue."""
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2:] != (3,):
        raise ValueError(f"no image: the config's first transform gives the shape {pixels.shape}")
    return np.ascontiguousarray(pixels[..., ::-1])
