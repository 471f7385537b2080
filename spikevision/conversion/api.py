"""The verbs: ``prepare_`` checks a model, ``calibrate`` counts, ``convert_`` fits; ``convert`` does all three."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.conversion.calibration import Histogram, Statistics, fingerprint
from spikevision.conversion.model import SpikingModel
from spikevision.conversion.report import ConversionReport, PopulationReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.runs import as_arguments
from spikevision.conversion.simulation import Simulation, follow
from spikevision.conversion.site import Phase
from spikevision.conversion.sta import STAConfig
from spikevision.conversion.sta.populations import Population, fit_population
from spikevision.conversion.staged import answers, is_task_data, link_stages
from spikevision.conversion.stream import map_tensors

__all__ = ["calibrate", "convert", "convert_", "prepare_"]


def convert(
    model: nn.Module,
    batches: Iterable[Any],
    config: STAConfig | None = None,
    *,
    rules: Mapping[str, STAConfig | None] | None = None,
    preprocessing: str = "",
) -> SpikingModel:
    """Convert a trained network into a spiking one, without training.

    Args:
        model: Network in eval mode; it is copied, not changed.
        batches: What the network takes: tensors, tuples of arguments, or dictionaries of keyword arguments; for a
            model of mmpretrain, mmdet or mmsegmentation also the batches of its dataloader. A few dozen images of the
            training set are enough; no labels.
        config: Settings; None is ``STAConfig()``.
        rules: Config by module name, see :class:`spikevision.conversion.Rules`; None as a config leaves a module in
            floating point.
        preprocessing: What was done to the images, kept with the statistics.

    Returns:
        The spiking network, with ``run``, ``report`` and the ANN inside.

    Raises:
        ValueError: If the model is in train mode or was converted before, there is nothing to calibrate with, a value
            is not finite, a function has no handler, or a rule matches nothing.
    """
    config = config or STAConfig()
    prepared = prepare_(copy.deepcopy(model), config, rules=rules)
    statistics = calibrate(prepared, batches, config, rules=rules, preprocessing=preprocessing)
    return convert_(prepared, statistics, config, rules=rules, preprocessing=preprocessing)


def prepare_(
    model: nn.Module,
    config: STAConfig | None = None,
    *,
    rules: Mapping[str, STAConfig | None] | None = None,
) -> nn.Module:
    """Check that a model can be converted.

    Args:
        model: Network in eval mode.
        config: Settings; None is ``STAConfig()``.
        rules: As for :func:`convert`.

    Returns:
        The same model.

    Raises:
        ValueError: If it is in train mode, was converted before, or a rule matches nothing.
    """
    if isinstance(model, SpikingModel) or any(isinstance(m, Population) for m in model.modules()):
        raise ValueError("the model was converted before: convert the ANN, which is in snn.model")
    training = [name or "the model" for name, module in model.named_modules() if module.training]
    if training:
        raise ValueError(
            f"the model is in train mode ({training[0]}): call model.eval() before the conversion"
        )
    Rules(config or STAConfig(), rules).check(model)
    return model


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    config: STAConfig | None = None,
    *,
    rules: Mapping[str, STAConfig | None] | None = None,
    preprocessing: str = "",
    start: Statistics | None = None,
    after_batch: Callable[[Statistics], object] | None = None,
) -> Statistics:
    """Run the ANN on some batches and count what its functions see.

    The counts of shards add up exactly: ``Statistics.merge([...])``.

    Args:
        model: The prepared network.
        batches: As for :func:`convert`.
        config: Settings; what is counted depends on ``neuron``, ``operators`` and ``encode_products``.
        rules: As for :func:`convert`.
        preprocessing: What was done to the images.
        start: Statistics to go on from; they are added to. None begins from nothing.
        after_batch: Called with what has been counted after every batch.

    Raises:
        ValueError: If there is no batch, a value is not finite, a function has no handler, or ``start`` belongs to
            another model or preprocessing.
    """
    every = Rules(config or STAConfig(), rules)
    own = fingerprint(model)
    statistics = start or Statistics(own, preprocessing)
    statistics.check(model=own, preprocessing=preprocessing)
    counting = partial(Simulation, model, every, Phase.CALIBRATE, statistics=statistics)
    stop_following, unlink = follow(model), link_stages(model)
    try:
        for batch in batches:
            args, kwargs = as_arguments(batch)
            for _ in answers(model, counting, args, kwargs, [1]):
                pass
            statistics.images += _images_in(model, args, kwargs)
            if after_batch is not None:
                after_batch(statistics)
    finally:
        unlink()
        stop_following()
    if not statistics.images:
        raise ValueError("there is nothing to calibrate with: the batches are empty")
    return statistics


def convert_(
    model: nn.Module,
    statistics: Statistics,
    config: STAConfig | None = None,
    *,
    rules: Mapping[str, STAConfig | None] | None = None,
    preprocessing: str = "",
) -> SpikingModel:
    """Fit populations of neurons to the statistics and put them beside the functions that they replace, in place.

    Args:
        model: The prepared network that was calibrated.
        statistics: Its statistics, of one run or merged.
        config: Settings.
        rules: As for :func:`convert`.
        preprocessing: What will be done to the images; must be that of the calibration.

    Raises:
        ValueError: If the statistics belong to another model or another preprocessing.
    """
    config = config or STAConfig()
    prepare_(model, config, rules=rules)
    own = fingerprint(model)
    statistics.check(model=own, preprocessing=preprocessing)
    every = Rules(config, rules)
    report = ConversionReport(config.to_dict(), own, statistics.images)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    for name, histogram in statistics.taps.items():
        owner, _, attribute = name.rpartition(".")
        chosen = every.config_of(owner)
        if chosen is None:
            continue
        population = fit_population(histogram, chosen).to(device)
        model.get_submodule(owner).add_module(attribute, population)
        report.populations.append(_population_report(name, population, histogram))
    return SpikingModel(model, every, report)


def _images_in(model: nn.Module, args: tuple, kwargs: dict[str, Any]) -> int:
    if is_task_data(model, kwargs):
        return len(kwargs["inputs"])
    sizes: list[int] = []

    def size(x: Tensor) -> None:
        if x.dim():
            sizes.append(x.shape[0])

    map_tensors(size, (args, kwargs))
    return sizes[0] if sizes else 0


def _population_report(name: str, population: Population, histogram: Histogram) -> PopulationReport:
    thresholds = population.thresholds
    assert isinstance(thresholds, Tensor)
    return PopulationReport(
        name=name,
        role=histogram.about["role"],
        function=histogram.about.get("function"),
        units=thresholds.shape[0] if thresholds.dim() == 2 else 1,
        channels=thresholds.shape[-1],
        threshold=(float(thresholds.min()), float(thresholds.median()), float(thresholds.max())),
        low=float(histogram.low.min()),
        high=float(histogram.high.max()),
    )
