"""How far a converted model is from its ANN: at the output, and function by function."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from spikevision.conversion.calibration import Statistics
from spikevision.conversion.model import SpikingModel
from spikevision.conversion.runs import as_arguments, simulate
from spikevision.conversion.simulation import Simulation
from spikevision.conversion.site import Phase

__all__ = ["Agreement", "classification_fidelity", "cosine", "layer_fidelity", "snr_db"]


def snr_db(wanted: Tensor, found: Tensor) -> float:
    """Power of the wanted values over that of the error, in dB; infinite where they are equal."""
    wanted = wanted.detach().double()
    noise = float((found.detach().double() - wanted).square().sum())
    signal = float(wanted.square().sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def cosine(wanted: Tensor, found: Tensor) -> float:
    """Cosine of the angle between two tensors seen as vectors."""
    a, b = wanted.detach().double().flatten(), found.detach().double().flatten()
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-300))


class Agreement:
    """Share of predicted classes, of images or of pixels, that are the ANN's, by stage, over many batches."""

    def __init__(self) -> None:
        self._same: Counter[str] = Counter()
        self._all = 0

    def add(self, wanted: Tensor, found: Mapping[str, Tensor]) -> None:
        """Count a batch: classes that the ANN predicted, and those of the stages, of the same shape."""
        self._all += wanted.numel()
        for stage, classes in found.items():
            self._same[stage] += int((classes == wanted).sum())

    def percent(self, stage: str) -> float | None:
        """Agreement of a stage in percent; None where nothing was counted."""
        return 100 * self._same[stage] / self._all if self._all else None


def classification_fidelity(
    snn: SpikingModel,
    batches: Iterable[tuple[Any, Tensor]],
    *,
    at: Sequence[int],
) -> dict[str, dict[str, float]]:
    """Accuracy, agreement and signal-to-noise ratio of the logits, stage by stage.

    The stages are ``ann``, ``without_spikes`` (fitted operators, real values) and each step of ``at``: they tell the
    error of approximation from that of spiking.

    Args:
        snn: Converted classifier that answers with logits.
        batches: Inputs and labels ``[N]``.
        at: Steps.

    Returns:
        Stage -> ``accuracy_percent``, and against the ANN ``agreement_percent`` and ``snr_db``.

    Raises:
        ValueError: If there are no batches.
    """
    logits: dict[str, list[Tensor]] = {}
    labels, agreement = [], Agreement()
    for x, label in batches:
        args, kwargs = as_arguments(x)
        stages = {
            "ann": snn.ann(*args, **kwargs),
            "without_spikes": snn.without_spikes(*args, **kwargs),
        }
        stages |= {str(t): value for t, value in snn.run(x, max(at), at=at).items()}
        for stage, value in stages.items():
            logits.setdefault(stage, []).append(value.cpu())
        agreement.add(stages["ann"].argmax(1), {k: v.argmax(1) for k, v in stages.items()})
        labels.append(label.cpu())
    if not labels:
        raise ValueError("there is nothing to measure with: the batches are empty")
    label = torch.cat(labels)
    whole = {stage: torch.cat(parts) for stage, parts in logits.items()}
    ann = whole["ann"]
    table = {}
    for stage, value in whole.items():
        right = (value.argmax(1) == label).double().mean()
        row: dict[str, Any] = {"accuracy_percent": float(100 * right)}
        if stage != "ann":
            row["agreement_percent"] = agreement.percent(stage)
            row["snr_db"] = snr_db(ann, value)
        table[stage] = row
    return table


def layer_fidelity(
    snn: SpikingModel, x: Any, *, at: Sequence[int], entry: Callable | None = None
) -> dict[str, dict[int, dict[str, float]]]:
    """Running means against the ANN at every converted function.

    Args:
        snn: Converted model.
        x: What the ANN takes; a few images.
        at: Steps.
        entry: What is run, a method of the ANN; None runs all of it.

    Returns:
        Function -> step -> ``snr_db`` and ``cosine`` of its output in the network, and ``own_snr_db``: of the function
        alone, fed with the true values of the ANN. Where the two differ, the error is inherited.
    """
    args, kwargs = as_arguments(x)
    wanted: dict[str, Tensor] = {}

    def keep(name: str, mean: Tensor) -> None:
        wanted[name] = mean.clone()

    reference = Simulation(
        snn.model, snn.rules, Phase.CALIBRATE, statistics=Statistics(""), entry=entry
    )
    reference.on_stream = keep
    for _ in simulate(reference, args, kwargs, 1):
        pass
    table: dict[str, dict[int, dict[str, float]]] = {
        name: {t: {} for t in sorted(at)} for name in wanted
    }

    def compare(name: str, mean: Tensor) -> None:
        if together.t in table[name]:
            table[name][together.t]["snr_db"] = snr_db(wanted[name], mean)
            table[name][together.t]["cosine"] = cosine(wanted[name], mean)

    def compare_alone(name: str, mean: Tensor) -> Tensor:
        if alone.t in table[name]:
            table[name][alone.t]["own_snr_db"] = snr_db(wanted[name], mean)
        return wanted[name].clone()

    together = Simulation(snn.model, snn.rules, Phase.SPIKES, entry=entry)
    together.on_stream = compare
    alone = Simulation(snn.model, snn.rules, Phase.SPIKES, entry=entry)
    alone.on_stream = compare_alone
    for simulation in (together, alone):
        for _ in simulate(simulation, args, kwargs, max(at)):
            pass
    return table
