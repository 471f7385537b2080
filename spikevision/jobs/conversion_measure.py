"""How far a converted model is from its ANN on the test data of the config: metrics, layers, events and energy."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner

from spikevision.conversion import SpikingModel
from spikevision.conversion.fidelity import Agreement, layer_fidelity
from spikevision.jobs.conversion_plan import ConversionPlan
from spikevision.jobs.progress import progress
from spikevision.statistics import Record, SpikeRecorder
from spikevision.tasks import TaskSpec

ANN, WITHOUT_SPIKES = "ANN", "no spikes"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One way to run the network.

    Attributes:
        name: ``ANN``, ``no spikes`` (fitted operators, real values), or ``T = ...``.
        time_steps: T, or None.
        metrics: Metrics of the config's test evaluator.
        agreement_percent: Share of predicted classes (of images, or of pixels) that are the ANN's; None for boxes.
    """

    name: str
    time_steps: int | None
    metrics: dict[str, float]
    agreement_percent: float | None


@dataclass(kw_only=True)
class Measurement:
    """Everything that was measured.

    Attributes:
        images: Number of test images behind ``stages``.
        stages: ANN, without spikes, then each T.
        layers: Function -> T -> ``snr_db``, ``cosine`` and ``own_snr_db``.
        layers_of: What of the network ``layers`` is about.
        record: Operations of the spiking network at the largest T; None where nothing was counted.
        at: The numbers of steps.
    """

    at: tuple[int, ...]
    images: int = 0
    stages: list[Stage] = field(default_factory=list)
    layers: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    layers_of: str = "the network"
    record: Record | None = None


def measure(
    snn: SpikingModel, config: Config, plan: ConversionPlan, task: TaskSpec, *, count_all: bool
) -> Measurement:
    """Measure a converted model.

    Args:
        snn: The model.
        config: Config of the ANN.
        plan: What to measure.
        task: The task of the config.
        count_all: Whether to count operations on all images of the report.
    """
    found = Measurement(at=plan.steps)
    if plan.report_images == 0 or config.get("test_dataloader") is None:
        return found
    batches = _TestImages(config, plan, task)
    stages = _Stages(batches.evaluator, found.at, detects=task.name == "detection")
    recorder = SpikeRecorder(snn)
    with progress() as bar:
        line = bar.add_task("measuring", total=len(batches.chosen))
        for batch in batches:
            stages.add(snn, batch, recorder if count_all else None)
            bar.advance(line, len(batch["inputs"]))
    found.images = len(batches.chosen)
    found.stages = stages.results(found.images, task)
    few = batches.first(plan.layer_images)
    if few is None:
        found.record = recorder.record if count_all else None
        return found
    with progress() as bar:
        if not count_all:
            bar.add_task("counting operations", total=None)
            with recorder:
                snn(**copy.deepcopy(few))
        found.record = recorder.record
        bar.add_task("comparing layers", total=None)
        _measure_layers(snn, few, found, task)
    return found


def _measure_layers(
    snn: SpikingModel, batch: dict[str, Any], found: Measurement, task: TaskSpec
) -> None:
    model: Any = snn.model
    inputs = model.data_preprocessor(copy.deepcopy(batch), False)["inputs"]
    entry = None
    if task.name == "detection":
        found.layers_of = "backbone and neck"
        entry = model.extract_feat
    found.layers = layer_fidelity(snn, inputs, at=found.at, entry=entry)


class _TestImages:
    """Batches of the test data, whole samples as the data loader would give them."""

    def __init__(self, config: Config, plan: ConversionPlan, task: TaskSpec) -> None:
        loader = {**config.test_dataloader, "num_workers": 0, "persistent_workers": False}
        loader.pop("prefetch_factor", None)
        self.dataset: Any = Runner.build_dataloader(copy.deepcopy(loader), seed=0).dataset
        self.size = plan.batch_size or loader.get("batch_size", 1)
        images = len(self.dataset)
        if plan.report_images is not None and plan.report_images < images:
            if task.name == "detection":
                raise ValueError(
                    f"conversion.report_images={plan.report_images}: COCO metrics are of the whole annotation file; leave "
                    "it out, or set 0 to measure nothing"
                )
            images = plan.report_images
        self.chosen = [round(i * len(self.dataset) / images) for i in range(images)]
        self._evaluator = config.test_evaluator

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for i in range(0, len(self.chosen), self.size):
            yield self._batch(self.chosen[i : i + self.size])

    def first(self, number: int) -> dict[str, Any] | None:
        """Some images, spread evenly; None where none are wanted."""
        step = max(1, len(self.chosen) // max(1, number))
        chosen = self.chosen[::step][:number]
        return self._batch(chosen) if chosen else None

    def evaluator(self) -> Evaluator:
        """A new evaluator of the config."""
        wanted = copy.deepcopy(self._evaluator)
        made = Evaluator(wanted if isinstance(wanted, (list, tuple)) else [wanted])
        made.dataset_meta = getattr(self.dataset, "metainfo", None)
        return made

    def _batch(self, indices: list[int]) -> dict[str, Any]:
        return dict(pseudo_collate([self.dataset[index] for index in indices]))


class _Stages:
    """Evaluators of all stages, and what their predictions share with the ANN's."""

    def __init__(self, make: Any, at: tuple[int, ...], *, detects: bool) -> None:
        self.at = at
        self.detects = detects
        names = [ANN, WITHOUT_SPIKES, *(f"T = {t}" for t in at)]
        self._evaluators = {name: make() for name in names}
        self._agreement = Agreement()

    def add(self, snn: SpikingModel, batch: dict[str, Any], recorder: SpikeRecorder | None) -> None:
        """Predict on a batch in all ways."""
        answers = {
            ANN: snn.ann(**copy.deepcopy(batch)),
            WITHOUT_SPIKES: snn.without_spikes(**copy.deepcopy(batch)),
        }
        spiking = snn.run(copy.deepcopy(batch), max(self.at), at=self.at)
        answers |= {f"T = {t}": samples for t, samples in spiking.items()}
        if recorder is not None:
            with recorder:
                snn(**copy.deepcopy(batch))
        if not self.detects:
            classes = {name: _classes(samples) for name, samples in answers.items()}
            self._agreement.add(classes[ANN], classes)
        for name, samples in answers.items():
            self._evaluators[name].process(data_samples=samples, data_batch=batch)

    def results(self, images: int, task: TaskSpec) -> list[Stage]:
        """All stages, computed."""
        steps = {f"T = {t}": t for t in self.at}
        found = []
        for name, evaluator in self._evaluators.items():
            print_log(f"{name}:", "current")  # a heading of what mm's metrics log
            metrics = {key: float(value) for key, value in evaluator.evaluate(images).items()}
            agreement = self._agreement.percent(name)
            found.append(
                Stage(
                    name=name,
                    time_steps=steps.get(name),
                    metrics=metrics,
                    agreement_percent=agreement,
                )
            )
        return found


def _classes(samples: list[Any]) -> torch.Tensor:
    """Predicted classes of images, or of all pixels, in one row."""
    found = []
    for sample in samples:
        if "pred_sem_seg" in sample:
            found.append(sample.pred_sem_seg.data.flatten())
        else:
            found.append(sample.pred_label.flatten())
    return torch.cat([each.cpu() for each in found])
