"""What a config asks of a conversion: its ``conversion`` field, the calibration images and the converted config."""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS

from spikevision.conversion import STAConfig

MODEL = "spikevision.ConvertedModel"
STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
TRAINING = (
    *("train_dataloader", "train_cfg", "train_pipeline", "optim_wrapper", "param_scheduler"),
    *("auto_scale_lr", "load_from", "init_from", "conversion"),
)
COUNTED_BY = ("neuron", "operators", "encode_products", "unsupported", "coding")


@dataclass(frozen=True, kw_only=True)
class ConversionPlan:
    """The ``conversion`` field of a config; all but these are fields of :class:`STAConfig`.

    Attributes:
        settings: The settings of the method.
        rules: Module name or ``re:`` pattern -> fields of a config of its own, or None to leave a module in floating
            point.
        calibration_images: Number of training images to calibrate with.
        batch_size: Of calibration and report; None takes that of ``test_dataloader``.
        at: Numbers of steps that the report shows, each at most T; None shows 1, 2, 4, 8 ... up to T.
        report_images: Number of test images to measure with; None takes all, 0 measures nothing.
        layer_images: Number of them for the table of layers and for operations and energy; 0 leaves both out.
        calibration: Calibration file to use instead of counting; None counts.
    """

    settings: STAConfig
    rules: Mapping[str, STAConfig | None] = field(default_factory=dict)
    calibration_images: int = 64
    batch_size: int | None = None
    at: tuple[int, ...] | None = None
    report_images: int | None = None
    layer_images: int = 8
    calibration: str | None = None

    def __post_init__(self) -> None:
        last = self.settings.time_steps
        if self.at is None:
            steps = sorted({t for t in STEPS if t < last} | {last})
            object.__setattr__(self, "at", tuple(steps))
        outside = [t for t in self.steps if not 1 <= t <= last]
        if outside or not self.steps:
            raise ValueError(
                f"conversion.at must lie in 1 ... {last} (time_steps), got {list(self.steps)}"
            )
        if self.calibration_images < 1:
            raise ValueError(
                f"there is nothing to calibrate with: conversion.calibration_images is {self.calibration_images}"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"conversion.batch_size must be at least 1, got {self.batch_size}")

    @property
    def steps(self) -> tuple[int, ...]:
        """The numbers of steps of the report, rising."""
        return tuple(sorted(set(self.at or ())))


def plan_of(config: Config) -> ConversionPlan:
    """Read the ``conversion`` field.

    Raises:
        ValueError: It has an unknown field, or a value that cannot be meant.
    """
    given = copy.deepcopy(dict(config.get("conversion") or {}))
    method = {f.name for f in fields(STAConfig)}
    own = {f.name for f in fields(ConversionPlan)} - {"settings"}
    unknown = sorted(set(given) - method - own)
    if unknown:
        raise ValueError(
            f"conversion has no field {unknown[0]!r}; it takes {', '.join(sorted(method | own))}"
        )
    settings = {name: value for name, value in given.items() if name in method}
    rules = {
        pattern: None if each is None else STAConfig(**{**settings, **each})
        for pattern, each in dict(given.pop("rules", None) or {}).items()
    }
    rest = {name: value for name, value in given.items() if name in own}
    if rest.get("at") is not None:
        rest["at"] = tuple(rest["at"])
    return ConversionPlan(settings=STAConfig(**settings), rules=rules, **rest)


def check_is_ann(config: Config) -> None:
    """Refuse a model that was converted before.

    Raises:
        ValueError: It was.
    """
    if config.model.get("type") == MODEL:
        raise ValueError(
            "this is the config of a converted model: convert the ANN, whose config is in model.model of it"
        )


def converted_config(config: Config, plan: ConversionPlan) -> Config:
    """The config that tests the converted model."""
    kept = Config(copy.deepcopy(config.to_dict()))
    ann = kept.pop("model")
    for name in TRAINING:
        kept.pop(name, None)
    hooks = [
        hook for hook in kept.get("custom_hooks") or [] if "EMAHook" not in str(hook.get("type"))
    ]
    kept.custom_hooks = hooks
    kept.model = {"type": MODEL, "model": ann, "time_steps": plan.settings.time_steps}
    return kept


class CalibrationImages:
    """Training images of a config, as its test data is prepared.

    Args:
        config: Config of the ANN.
        plan: How many.

    Raises:
        ValueError: There are none.
    """

    def __init__(self, config: Config, plan: ConversionPlan) -> None:
        loader = config.get("train_dataloader")
        if not loader:
            raise ValueError(
                "there is nothing to calibrate with: the config has no train_dataloader; the images to calibrate with "
                "are those of its dataset"
            )
        self.config = _plain_dataset(loader["dataset"])
        self.config["pipeline"] = copy.deepcopy(_test_pipeline(config))
        self.dataset: Any = DATASETS.build(copy.deepcopy(self.config))
        if len(self.dataset) == 0:
            raise ValueError("there is nothing to calibrate with: the training set holds no image")
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(self.dataset), generator=generator).tolist()
        chosen = order[: plan.calibration_images]
        size = plan.batch_size or (config.get("test_dataloader") or {}).get("batch_size", 1)
        self.batches = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        self.images = len(chosen)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.after(0)

    def after(self, images: int) -> Iterator[dict[str, Any]]:
        """Batches behind the first so many images."""
        for batch in self.batches:
            images -= len(batch)
            if images < 0:
                yield pseudo_collate([self.dataset[index] for index in batch])

    def about(self, config: Config, plan: ConversionPlan) -> str:
        """What was done to which images, and what of them is counted, in words and as a hash of all of it."""
        steps = [str(step["type"]) for step in self.config["pipeline"]]
        normalised = config.get("data_preprocessor") or config.model.get("data_preprocessor") or {}
        counted = {
            name: getattr(plan.settings, name)
            for name in COUNTED_BY
            if hasattr(plan.settings, name)
        }
        rules = {k: c and {n: getattr(c, n) for n in counted} for k, c in plan.rules.items()}
        text = repr(
            (
                _values(self.config),
                _values(normalised),
                self.batches,
                sorted(rules.items(), key=str),
            )
        )
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        for_ = ", ".join(f"{name}={value}" for name, value in counted.items())
        return f"{' > '.join(steps)}, {self.images} images, {digest}; for {for_}"


def _plain_dataset(node: Any) -> dict[str, Any]:
    """The dataset inside wrappers that repeat, balance or mix; of several, the first."""
    node = dict(node)
    while "dataset" in node or "datasets" in node:
        node = dict(node["dataset"] if "dataset" in node else node["datasets"][0])
    return node


def _test_pipeline(config: Config) -> Any:
    for name in ("test_dataloader", "val_dataloader"):
        loader = config.get(name)
        if loader:
            return _plain_dataset(loader["dataset"])["pipeline"]
    raise ValueError(
        "the config has no test_dataloader, whose transforms prepare calibration images"
    )


def _values(node: Any) -> Any:
    """A config as plain values in a fixed order."""
    if isinstance(node, Mapping):
        return sorted((key, _values(value)) for key, value in node.items())
    return [_values(each) for each in node] if isinstance(node, (list, tuple)) else str(node)


def calibration_path(folder: Path) -> Path:
    """Calibration file of a conversion's folder."""
    return folder / "calibration.safetensors"
