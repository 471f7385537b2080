"""A classifier's answer as plain values and as a picture."""

from pathlib import Path
from typing import Any

import mmcv
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer

SHORT_EDGE_PX = 224


def describe(
    image: Path, result: DataSample, classes: tuple[str, ...], picture: Path
) -> dict[str, Any]:
    """Save an annotated picture and give the prediction.

    Args:
        image: The image that was classified.
        result: The model's answer for it.
        classes: Class names; may be empty.
        picture: Where to save the annotated picture.

    Returns:
        ``label`` (index), ``class`` (name, or the index as text), ``score`` (probability), ``scores`` (of all classes).
    """
    scores = [float(score) for score in result.pred_score]
    label = int(result.pred_label)
    picture.parent.mkdir(parents=True, exist_ok=True)
    visualizer = UniversalVisualizer()
    visualizer.visualize_cls(
        mmcv.imread(image, channel_order="rgb"),
        result,
        classes=classes or [str(index) for index in range(len(scores))],
        draw_gt=False,
        resize=SHORT_EDGE_PX,
        out_file=str(picture),
    )
    name = classes[label] if classes else str(label)
    return {"label": label, "class": name, "score": scores[label], "scores": scores}
