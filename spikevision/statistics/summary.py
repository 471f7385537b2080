"""What people read first: the derived figures of a record as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikevision.statistics.break_even import break_even_steps
from spikevision.statistics.energy import ENERGY_MODELS, EnergyModel, rate_times_macs
from spikevision.statistics.firing_rate import firing_rates, mean_firing_rate, rate_warnings
from spikevision.statistics.record import Entry, Record
from spikevision.statistics.tensor_summary import Kind

__all__ = ["scalars", "summarise"]


def summarise(record: Record, models: Sequence[EnergyModel] = ENERGY_MODELS) -> dict[str, Any]:
    """Rates, operations and energies per image; computed from the record alone, so it can be left out or redone."""
    values: dict[str, Any] = {
        "images": record.num_images,
        "firing_rate": mean_firing_rate(record),
        "neurons": {
            rate.name: {
                "firing_rate": rate.mean,
                "firing_rate_per_step": rate.per_step,
                "silent_channels": rate.silent,
                "saturated_channels": rate.saturated,
                "histogram": rate.histogram,
            }
            for rate in firing_rates(record)
        },
        "warnings": rate_warnings(record),
    }
    if record.layers and record.num_images:
        images = record.num_images
        values["layers"] = {name: _layer(entry, images) for name, entry in record.layers.items()}
        values["energy"] = [_energy(record, model) for model in models]
    return values


def scalars(record: Record, models: Sequence[EnergyModel] = ENERGY_MODELS) -> dict[str, float]:
    """The figures that are worth a curve: ``spikes/...`` and the firing rate of each neuron."""
    rates = firing_rates(record)
    values = {"spikes/firing_rate": mean_firing_rate(record)}
    if rates:
        values["spikes/silent_channels"] = sum(rate.silent for rate in rates) / len(rates)
        values["spikes/saturated_channels"] = sum(rate.saturated for rate in rates) / len(rates)
    if record.layers and record.num_images:
        synops = sum(entry.total("synops") for entry in record.layers.values())
        values["spikes/synops_g"] = synops / record.num_images / 1e9
        for model in models:
            energy = model.estimate(record)
            values[f"spikes/energy_mj/{model.name}"] = energy.snn_pj / 1e9
    return values | {f"firing_rate/{rate.name}": rate.mean for rate in rates}


def _layer(entry: Entry, images: int) -> dict[str, Any]:
    """Operations of one layer per image: exact, by mean rate, and how far the mean rate is off."""
    values = {"input": entry.kind.name.lower(), "macs": entry.total("macs") / images}
    if entry.kind is Kind.REAL:
        return values
    exact, by_rate = entry.total("synops") / images, rate_times_macs(entry) / images
    rate = entry.total("spikes") / entry.total("inputs")
    return {
        **values,
        "input_rate": rate,
        "synops": exact,
        "rate_times_macs": by_rate,
        "rate_error": by_rate - exact,
    }


def _counted_itself(record: Record) -> bool:
    return any(entry.about.get("graded") for entry in record.layers.values())


def _energy(record: Record, model: EnergyModel) -> dict[str, Any]:
    energy = model.estimate(record)
    return {
        "model": model.name,
        "source": model.source,
        "snn_mj": energy.snn_pj / 1e9,
        "ann_mj": energy.ann_pj / 1e9,
        "macs": energy.macs,
        "acs": energy.acs,
        **(
            {"break_even_steps": break_even_steps(record, model)} if _counted_itself(record) else {}
        ),
        "layers_mj": {
            name: {"part": layer.part, "snn": layer.snn_pj / 1e9, "ann": layer.ann_pj / 1e9}
            for name, layer in energy.layers.items()
        },
    }
