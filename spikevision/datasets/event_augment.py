"""Augmentation of event frames."""

import math
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from torchvision.transforms.functional import affine

from spikevision.registry import TRANSFORMS

OPERATIONS = ("identity", "shear", "translate_x", "translate_y", "rotate", "cutout")


@TRANSFORMS.register_module()
class EventAugment(BaseTransform):
    """One random operation on all frames of a sample alike: nothing, shear, shift, rotation or cutout.

    Works on ``img`` ``[H, W, 2 T]`` and moves counts to the nearest pixel. Which operations there are is published; the
    largest magnitudes are for 128x128 frames.

    Args:
        shear: Largest shear along x, pixels per row.
        translate_px: Largest shift along x or y.
        rotate_deg: Largest rotation.
        cutout_px: Largest side of the square that is set to zero.

    Raises:
        ValueError: A magnitude is negative.

    Source: Li et al., Neuromorphic data augmentation, arXiv:2203.06145; one operation per sample as in Mueller and
        Hutter, TrivialAugment, arXiv:2103.10158; used by Zhou et al., Spikformer, arXiv:2209.15425.
    """

    def __init__(
        self,
        *,
        shear: float = 0.3,
        translate_px: int = 5,
        rotate_deg: float = 30.0,
        cutout_px: int = 30,
    ) -> None:
        if min(shear, translate_px, rotate_deg, cutout_px) < 0:
            raise ValueError("magnitudes of EventAugment must not be negative")
        self.shear = shear
        self.translate_px = translate_px
        self.rotate_deg = rotate_deg
        self.cutout_px = cutout_px

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``."""
        operation, magnitude, place = self._draw()
        if operation == "cutout":
            results["img"] = self._cut(results["img"], magnitude, place)
        elif operation != "identity":
            results["img"] = self._move(results["img"], operation, magnitude)
        return results

    @cache_randomness
    def _draw(self) -> tuple[str, float, tuple[float, float]]:
        """Operation, magnitude in -1..1 and a place in 0..1."""
        operation = OPERATIONS[np.random.randint(len(OPERATIONS))]
        return operation, np.random.uniform(-1, 1), (np.random.rand(), np.random.rand())

    def _cut(self, image: np.ndarray, magnitude: float, place: tuple[float, float]) -> np.ndarray:
        side = round(abs(magnitude) * self.cutout_px)
        height, width = image.shape[:2]
        top, left = (
            round(share * (size - 1)) for share, size in zip(place, (height, width), strict=True)
        )
        top, left = top - side // 2, left - side // 2
        cut = image.copy()
        cut[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
        return cut

    def _move(self, image: np.ndarray, operation: str, magnitude: float) -> np.ndarray:
        shift = round(magnitude * self.translate_px)
        settings: dict[str, Any] = {
            "angle": 0.0,
            "translate": [0, 0],
            "scale": 1.0,
            "shear": [0.0, 0.0],
        }
        if operation == "shear":
            settings["shear"] = [math.degrees(math.atan(magnitude * self.shear)), 0.0]
        elif operation == "rotate":
            settings["angle"] = magnitude * self.rotate_deg
        else:
            settings["translate"] = [shift, 0] if operation == "translate_x" else [0, shift]
        frames = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        moved = affine(frames, **settings)  # nearest pixel, zeros from outside
        return np.ascontiguousarray(moved.numpy().transpose(1, 2, 0))
