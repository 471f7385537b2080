"""One HTML page on a run or several: accuracy, energy against the ANN, firing rates, layers, sample images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spikevision.statistics.energy import ENERGY_MODELS
from spikevision.statistics.figures import (
    energy_chart,
    histogram_chart,
    plotly_script,
    rate_chart,
    sample_charts,
)
from spikevision.statistics.page import figure, listing, page, section, table, tiles
from spikevision.statistics.record import Record
from spikevision.statistics.summary import summarise

__all__ = ["RunStatistics", "report_page", "run_sections"]

LAYER_HEADS = (
    "layer",
    "input",
    "rate of input",
    "MACs (M)",
    "exact operations (M)",
    "rate x MACs (M)",
    "off by (M)",
    "µJ, strict",
    "µJ as ANN",
)


@dataclass(frozen=True, kw_only=True)
class RunStatistics:
    """What the report shows of one run.

    Args:
        name: Name of the run; of several runs, each has its own.
        record: What was counted.
        metrics: Metric -> value.
        facts: What else to say of the run, e.g. its config.
        samples: Images with spike maps, as :class:`~spikevision.statistics.samples.SpikeSamples` keeps them.
    """

    name: str
    record: Record
    metrics: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)
    samples: Sequence[Mapping[str, Any]] = ()


def report_page(runs: Sequence[RunStatistics]) -> str:
    """The page, which opens without a network.

    Raises:
        ValueError: If there is no run, or two have the same name.
        ImportError: Plotly is not installed.
    """
    if not runs:
        raise ValueError("a report needs at least one run")
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f"two runs of a report have the same name: {names}")
    summaries = {run.name: summarise(run.record) for run in runs}
    title = (
        f"Spike statistics of {names[0]}"
        if len(runs) == 1
        else f"Spike statistics of {len(runs)} runs"
    )
    parts = [_overview(runs, summaries), *_energies(summaries)]
    for run in runs:
        parts += run_sections(run, summaries[run.name], alone=len(runs) == 1)
    parts.append(section("How energy is counted", "", _models()))
    return page(title, parts, plotly=plotly_script())


def _overview(runs: Sequence[RunStatistics], summaries: Mapping[str, dict[str, Any]]) -> str:
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics))
    heads = ["run", "images", *metrics, "firing rate", "exact operations (G)"]
    rows = [
        [
            run.name,
            run.record.num_images,
            *(run.metrics.get(metric) for metric in metrics),
            summaries[run.name]["firing_rate"],
            sum(layer.get("synops", 0) for layer in summaries[run.name].get("layers", {}).values())
            / 1e9,
        ]
        for run in runs
    ]
    text = "Firing rate: spikes per neuron and time step. Operations and energies are per image."
    return section("Overview", text, table(heads, rows))


def _energies(summaries: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    energies = {
        name: summary["energy"] for name, summary in summaries.items() if "energy" in summary
    }
    if not energies:
        return
    several = len(energies) > 1
    heads = ["energy model", *["run"] * several, "spiking (mJ)", "ANN (mJ)", "spiking / ANN"]
    rows = [
        [model["model"], *[name] * several, model["snn_mj"], model["ann_mj"], _ratio(model)]
        for models in zip(*energies.values(), strict=True)
        for name, model in zip(energies, models, strict=True)
    ]
    text = "Each model counts differently; below 1 in the last column, the spiking network is the cheaper one."
    yield section(
        "Energy against the ANN of the same shape",
        text,
        figure(energy_chart(energies)),
        table(heads, rows),
    )


def _ratio(energy: Mapping[str, Any]) -> float | None:
    return energy["snn_mj"] / energy["ann_mj"] if energy["ann_mj"] else None


def run_sections(
    run: RunStatistics, summary: dict[str, Any] | None = None, *, alone: bool = True
) -> Iterator[str]:
    """Facts, warnings, firing rates, layers and images of a run, for a page.

    Args:
        run: The run.
        summary: Its summary; None makes it.
        alone: Whether the page is of this run alone, so that headings need no name.
    """
    summary = summarise(run.record) if summary is None else summary
    ending = "" if alone else f": {run.name}"
    if run.facts:
        yield section(
            f"Run{ending}", "", listing(f"{name}: {value}" for name, value in run.facts.items())
        )
    if summary["warnings"]:
        yield section(
            f"Warnings{ending}",
            "What the firing rates say.",
            f'<div class="scroll tall">{listing(summary["warnings"])}</div>',
        )
    if summary["neurons"]:
        text = "One row per neuron layer, first layer on top."
        yield section(
            f"Firing rate by layer and time step{ending}",
            text,
            figure(rate_chart(summary["neurons"])),
        )
        text = "Rates of channels over all images, steps and positions."
        yield section(
            f"Channels by firing rate{ending}", text, figure(histogram_chart(summary["neurons"]))
        )
    if summary.get("layers"):
        text = "Per image. A heading sorts. A layer on real values has no spikes to count: it costs its MACs."
        rows = list(_layer_rows(summary))
        yield section(f"Layers{ending}", text, table(LAYER_HEADS, rows, sortable=True))
    if run.samples:
        text = "Share of channels and steps that fired, brighter is more."
        yield section(
            f"Images and their spikes{ending}",
            text,
            *(tiles(sample_charts(sample)) for sample in run.samples),
        )


def _layer_rows(summary: dict[str, Any]) -> Iterator[list[Any]]:
    strict = next(energy for energy in summary["energy"] if energy["model"].startswith("strict"))
    for name, layer in summary["layers"].items():
        energy = strict["layers_mj"][name]
        keys = ("macs", "synops", "rate_times_macs", "rate_error")
        counts = [layer[key] / 1e6 if key in layer else None for key in keys]
        yield [
            name,
            layer["input"],
            layer.get("input_rate"),
            *counts,
            1e3 * energy["snn"],
            1e3 * energy["ann"],
        ]


def _models() -> str:
    return listing(
        f"{model.name}: {model.mac_pj} pJ per MAC, {model.ac_pj} pJ per AC. {model.source}."
        for model in ENERGY_MODELS
    )
