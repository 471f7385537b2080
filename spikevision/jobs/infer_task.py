"""What the infer job and its tasks agree on: a task turns the model's answers into plain values and pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmengine.config import Config

from spikevision.jobs.classes import Classes
from spikevision.jobs.media import Shot

SHORT_EDGE_PX = 300


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a task knows of a job.

    Args:
        config: The config.
        classes: Names and colours of the model's classes.
        folder: Where the job's results go.
        score_threshold: Least score of a detection that is drawn.
    """

    config: Config
    classes: Classes
    folder: Path
    score_threshold: float


class Predictions(Protocol):
    """A task's side of the infer job."""

    def __init__(self, setting: Setting) -> None: ...

    @staticmethod
    def count_classes(model: Any) -> int:
        """Number of classes of a model."""

    def add(self, shot: Shot, rgb: np.ndarray, result: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Take the model's answer for one picture.

        Args:
            shot: The picture.
            rgb: Its pixels ``[H, W, 3]``, uint8.
            result: mm data sample that ``test_step`` gave.

        Returns:
            Plain values for ``predictions.json``, and the annotated picture ``[H, W, 3]``; those of one video have
            one size.
        """

    def files(self) -> dict[str, Any]:
        """JSON files to write at the end: name -> content."""


def enlarge(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """A picture ``[H, W, C]`` so large that text on it can be read, and the whole factor by which it has grown."""
    factor = max(1, -(-SHORT_EDGE_PX // min(pixels.shape[:2])))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1), factor
