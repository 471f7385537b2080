"""A classifier's answer as plain values and as a picture."""

from typing import Any

import numpy as np
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from torch import nn

from spikevision.jobs.infer_task import Setting
from spikevision.jobs.media import Shot

SHORT_EDGE_PX = 224


class Labels:
    """Per picture ``label`` (index), ``class`` (name), ``score`` (probability), ``scores`` (of all classes)."""

    def __init__(self, setting: Setting) -> None:
        self._names = setting.classes.names
        self._visualizer = UniversalVisualizer()

    @staticmethod
    def count_classes(model: Any) -> int:
        """Number of classes of a classifier: the outputs of its last linear layer."""
        linear = [module for module in model.head.modules() if isinstance(module, nn.Linear)]
        return int(linear[-1].out_features)

    def add(
        self, shot: Shot, rgb: np.ndarray, result: DataSample
    ) -> tuple[dict[str, Any], np.ndarray]:
        """The prediction of a picture as plain values, and the picture with label and score on it."""
        scores = [float(score) for score in result.pred_score]
        label = int(result.pred_label)
        drawn = self._visualizer.visualize_cls(
            rgb, result, classes=self._names, draw_gt=False, resize=SHORT_EDGE_PX
        )
        entry = {"label": label, "class": self._names[label], "score": scores[label]}
        return {**entry, "scores": scores}, drawn

    def files(self) -> dict[str, Any]:
        """No file besides the list of predictions."""
        return {}
