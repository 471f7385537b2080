"""Firing rates: spikes per neuron and time step, with warnings in words.

A rate is 1 when a neuron fires at every step; integer spikes can take it above 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikevision.statistics.record import Entry, Record
from spikevision.statistics.tensor_summary import Kind

__all__ = ["BINS", "FiringRate", "firing_rates", "mean_firing_rate", "rate_warnings"]

BINS = 20  # of the histogram over channels, from 0 to 1
SATURATED = 0.95  # a channel that fires more often carries next to nothing
HARDLY = 0.001
MANY_SILENT = 0.5
MANY_SATURATED = 0.1


@dataclass(frozen=True, kw_only=True)
class FiringRate:
    """Firing of one neuron layer.

    Args:
        name: Name of the neuron in the model.
        mean: Spikes per neuron and step.
        per_step: The same at each time step.
        histogram: Number of channels per bin of mean rate, 20 bins from 0 to 1; higher rates are in the last one.
        silent: Share of channels that never fired.
        saturated: Share of channels that fired in more than 95 % of all cases.
    """

    name: str
    mean: float
    per_step: tuple[float, ...]
    histogram: tuple[int, ...]
    silent: float
    saturated: float


def firing_rates(record: Record) -> list[FiringRate]:
    """Firing rate of every neuron layer that emits spikes, in order of execution."""
    return [
        _rate(name, entry) for name, entry in record.neurons.items() if entry.kind is not Kind.REAL
    ]


def mean_firing_rate(record: Record) -> float:
    """Spikes per neuron and step over all layers; 0 where there is none."""
    spiking = [entry for entry in record.neurons.values() if entry.kind is not Kind.REAL]
    elements = sum(entry.total("elements") for entry in spiking)
    return sum(entry.total("spikes") for entry in spiking) / elements if elements else 0.0


def rate_warnings(record: Record) -> list[str]:
    """What is wrong with the firing, in words, one sentence per finding."""
    found = [
        f"{name} emits values that are no spike counts; it has no firing rate"
        for name, entry in record.neurons.items()
        if entry.kind is Kind.REAL
    ]
    for rate in firing_rates(record):
        graded = bool(record.neurons[rate.name].about.get("graded"))
        found += _warnings(rate, graded=graded)
    return found


def _rate(name: str, entry: Entry) -> FiringRate:
    elements, spikes = entry.per_step("elements"), entry.per_step("spikes")
    per_channel = sum(elements) // len(entry.channel_spikes)
    channels = [count / per_channel for count in entry.channel_spikes]
    histogram = [0] * BINS
    for rate in channels:
        histogram[min(int(rate * BINS), BINS - 1)] += 1
    return FiringRate(
        name=name,
        mean=sum(spikes) / sum(elements),
        per_step=tuple(fired / cases for fired, cases in zip(spikes, elements, strict=True)),
        histogram=tuple(histogram),
        silent=sum(rate == 0 for rate in channels) / len(channels),
        saturated=sum(rate > SATURATED for rate in channels) / len(channels),
    )


def _warnings(rate: FiringRate, *, graded: bool) -> list[str]:
    if rate.mean == 0:
        return [f"{rate.name} is silent: it never fired"]
    found = []
    if rate.mean < HARDLY:
        found.append(f"{rate.name} hardly fires: {rate.mean:.2%} of the time")
    silent_steps = [str(step + 1) for step, mean in enumerate(rate.per_step) if mean == 0]
    if silent_steps:
        found.append(f"{rate.name} is silent at time step {', '.join(silent_steps)}")
    if rate.silent >= MANY_SILENT:
        found.append(f"{rate.silent:.0%} of the channels of {rate.name} are silent")
    if rate.saturated >= MANY_SATURATED and not graded:  # graded spikes still tell something
        found.append(f"{rate.saturated:.0%} of the channels of {rate.name} fire nearly always")
    return found
