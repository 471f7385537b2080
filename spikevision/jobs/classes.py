"""Names and colours of the classes of a model, as its checkpoint, its config or its dataset gives them."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from spikevision.jobs.config import dataset_class

GOLDEN_RATIO = 0.618034  # steps of this share of the colour circle never come close to each other


@dataclass(frozen=True)
class Classes:
    """The classes of a model.

    Args:
        names: Name of each class; its index as text where nobody names it.
        colors: Colour of each class, red, green and blue from 0 to 255.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]


def classes_of(checkpoint: Mapping[str, Any], config: Config, *, count: int) -> Classes:
    """Names and colours of a model's classes.

    Args:
        checkpoint: A trained model's checkpoint; those of mmengine hold the names.
        config: Config with a ``test_dataloader``.
        count: Number of classes of the model.

    Raises:
        ValueError: The data has another number of classes than the model.
    """
    sources = _dataset_metas(checkpoint, config)
    names = next((tuple(meta["classes"]) for meta in sources if meta.get("classes")), None)
    names = names or tuple(map(str, range(count)))
    if len(names) != count:
        raise ValueError(
            f"the model has {count} classes, its data {len(names)} ({', '.join(names[:5])} ...): set num_classes of "
            "the heads, or test_dataloader.dataset.metainfo.classes, as they were in training"
        )
    for meta in sources:
        palette = meta.get("palette")
        if isinstance(palette, (list, tuple)) and len(palette) == count:
            return Classes(names, tuple((int(r), int(g), int(b)) for r, g, b in palette))
    return Classes(names, tuple(distinct_color(index) for index in range(count)))


def distinct_color(index: int) -> tuple[int, int, int]:
    """A bright colour unlike those of the neighbouring indices; red, green and blue from 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_RATIO % 1, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _dataset_metas(checkpoint: Mapping[str, Any], config: Config) -> list[Mapping[str, Any]]:
    """What checkpoint, config and dataset class say of the data, in this order."""
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    kind = dataset_class(dataset.get("type"), scope=config.get("default_scope"))
    known = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
    return [known, dataset.get("metainfo") or {}, getattr(kind, "METAINFO", {})]
