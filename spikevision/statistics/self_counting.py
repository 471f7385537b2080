"""Modules that tell their operations themselves, because no hook could see them.

A converted network runs its own module code several times on partial currents, and puts spikes where no module is. So
it is not watched: it has an attribute ``operation_counter``, and tells whoever is there what it does at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from spikevision.statistics.record import Entry, Record
from spikevision.statistics.tensor_summary import Kind

__all__ = ["OperationCounter", "SelfCounting"]


@runtime_checkable
class SelfCounting(Protocol):
    """A module that tells an :class:`OperationCounter`, if it has one, all that it does."""

    operation_counter: Any


class OperationCounter:
    """Puts what a module tells into a record.

    Args:
        record: The record.
        prefix: Name of the module in the model that is recorded, with a dot; empty for the model itself.
        call: Answers with the size of the images of the call that runs, and their number; the size is None outside a
            call of the model, whose operations are not counted.
    """

    def __init__(
        self, record: Record, *, prefix: str, call: Callable[[], tuple[str | None, int]]
    ) -> None:
        self._record = record
        self._prefix = prefix
        self._call = call

    def neurons(self, name: str, *, step: int, type: str, elements: int, events: Tensor) -> None:
        """Count neurons.

        Args:
            name: Their name.
            step: From 1.
            type: Their class.
            elements: How many there are.
            events: Unit events of this step by channel, ``[C]``; a graded spike of n quanta is n of them.
        """
        size, _ = self._call()
        if size is None:
            return
        about = {"type": type, "channels": len(events), "graded": True}
        entry = self._record.neurons.setdefault(self._prefix + name, Entry(about=about))
        channels = [int(value) for value in events.tolist()]
        counts = {"elements": elements, "spikes": sum(channels)}
        entry.add(size, Kind.INTEGER, _at(step, counts))
        entry.add_channels(channels)

    def layer(self, name: str, *, step: int, about: dict[str, Any], counts: dict[str, int]) -> None:
        """Count a layer, a product or an operator.

        Args:
            name: Its name.
            step: From 1.
            about: ``type``, ``role`` (``layer``, ``product``, ``operator``) and number of ``weights``.
            counts: ``inputs``, ``outputs``, ``macs`` (dense), ``ann_macs`` (those of the ANN, told once) and, where unit
                events drive it, ``spikes`` and ``synops``.
        """
        size, images = self._call()
        if size is None or not self._record.operations:
            return
        entry = self._record.layers.setdefault(
            self._prefix + name, Entry(about={**about, "graded": True})
        )
        kind = Kind.INTEGER if "synops" in counts else Kind.REAL
        entry.add(size, kind, _at(step, {"runs": images, **counts}))

    def values(self, quantity: str, *, step: int, number: int) -> None:
        """Count elementwise work, ``residual`` or ``normalisation``."""
        size, _ = self._call()
        if size is None or not self._record.operations:
            return
        steps = self._record.elementwise.setdefault(size, {}).setdefault(quantity, [])
        steps.extend([0] * (step - len(steps)))
        steps[step - 1] += number


def _at(step: int, counts: dict[str, int]) -> dict[str, list[int]]:
    return {name: [0] * (step - 1) + [value] for name, value in counts.items()}
