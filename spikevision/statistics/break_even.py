"""How many time steps a converted network may take before it costs more than its ANN."""

from __future__ import annotations

from spikevision.statistics.energy import EnergyModel
from spikevision.statistics.record import Record

__all__ = ["break_even_steps"]


def break_even_steps(record: Record, model: EnergyModel) -> float | None:
    """Number of time steps at which the spiking network has spent what the ANN needs for an image.

    Between two steps, and beyond the last recorded one, each further step is taken to cost what the step there did.

    Args:
        record: Record of a network that counted itself, in which a step costs the same however many follow.
        model: Energy model.

    Returns:
        The number, whole only by chance; None where a step costs nothing.
    """
    spent = last = 0.0
    for steps in range(1, record.time_steps + 1):
        energy = model.estimate(record.first_steps(steps))
        last = energy.snn_pj - spent
        if energy.snn_pj > energy.ann_pj:
            return steps - 1 + (energy.ann_pj - spent) / last
        spent = energy.snn_pj
    return record.time_steps + (energy.ann_pj - spent) / last if last else None
