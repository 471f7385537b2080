"""One function call of one module in a run: the sums that it keeps, its populations and its taps.

Convention: ``total`` is the sum of a stream up to the current step, ``mean`` that sum divided by the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spikevision.conversion.calibration import Histogram
from spikevision.conversion.counting import count_neurons
from spikevision.conversion.stream import Current, Stream, map_tensors

if TYPE_CHECKING:
    from spikevision.conversion.simulation import Simulation

__all__ = ["Events", "Phase", "Site", "by_channel"]


class Phase(StrEnum):
    """What the operators compute."""

    CALIBRATE = "calibrate"  # the ANN's own functions, while taps count values
    ANALOG = "analog"  # the fitted operators without spikes: one step
    SPIKES = "spikes"


@dataclass
class Events:
    """What one population sent in a run.

    Attributes:
        units: Quanta sent or taken back.
        spikes: Outputs that were not zero.
        neurons: Neurons times steps.
        by_value: Quanta of the last step that each value of the input brought about, ``[A, C, B]``.
        neurons_by_value: Neurons of each value.
    """

    units: int = 0
    spikes: int = 0
    neurons: int = 0
    by_value: Tensor = field(default_factory=lambda: torch.zeros(0))
    neurons_by_value: int = 1

    def begin(self, x: Tensor, *, neurons: int) -> None:
        """A step begins, for an input ``[A, C, B]`` with so many neurons for each value."""
        self.by_value = torch.zeros_like(x)
        self.neurons_by_value = neurons

    def add(self, sent: Tensor, *tile: slice) -> None:
        """Count what the neurons of some values sent in this step, ``[units, *tile]``, in quanta."""
        magnitude = sent.abs()
        self.units += int(magnitude.sum(dtype=torch.float64))
        self.spikes += int(sent.count_nonzero())
        self.neurons += sent.numel()
        self.by_value[tile or ...] += magnitude.sum(0)


class Site:
    """One function call of one module: what a handler works with.

    Attributes:
        simulation: The run.
        module: The module that makes the call.
        name: Dotted name, ``<module>.spiking_<function>``.
        local: The function, with a number from its second call in the module on.
        call: How often this function of this module ran before in this step, where a module is used several times.
        config: The config object that rules give the module.
        state: What this call keeps from step to step of this run.
    """

    def __init__(
        self,
        simulation: Simulation,
        module: nn.Module,
        name: str,
        local: str,
        call: int,
        config: Any,
        state: dict[str, Any],
    ) -> None:
        self.simulation = simulation
        self.module = module
        self.name = name
        self.local = local
        self.call = call
        self.config = config
        self.state = state
        self._events: Tensor | None = None  # of the population that ran last in this call

    @property
    def t(self) -> int:
        """The current step, from 1."""
        return self.simulation.t

    @property
    def phase(self) -> Phase:
        """What operators compute."""
        return self.simulation.phase

    def total(self, x: Tensor, key: str = "x") -> Tensor:
        """Sum of the stream up to this step; of a constant, t times it. Not to be changed in place."""
        if not isinstance(x, Stream):
            return x * self.t
        value = x.as_subclass(Tensor)
        if self.phase is not Phase.SPIKES:
            return value
        known = self.state.get(key)
        self.state[key] = value.clone() if known is None else known.add_(value)
        return self.state[key]

    def mean(self, x: Tensor, key: str = "x") -> Tensor:
        """Running mean of the stream."""
        return self.total(x, key) / self.t

    def stream(
        self,
        total: Tensor,
        current: Current = Current.ANALOG,
        channel_axis: int | None = None,
        *,
        key: str = "out",
    ) -> Stream:
        """The step of a stream whose sum up to now is ``total``."""
        events = self._events if current is Current.SPIKES else None
        replaced = self._shown(total, key)
        if replaced is not None:
            return Stream.wrap(replaced, self.simulation, current, channel_axis, events)
        before = self.state.get(key)
        if self.phase is Phase.SPIKES:
            # a copy where the caller may change what it gets in place
            self.state[key] = total
            total = total.clone() if before is None else total - before
        return Stream.wrap(total, self.simulation, current, channel_axis, events)

    def _shown(self, total: Tensor, key: str) -> Tensor | None:
        on_stream = self.simulation.on_stream
        if on_stream is None:
            return None
        name = self.name.replace("spiking_", "")
        name += "" if key == "out" else f".{key}"
        return on_stream(f"{name}#{self.call}" if self.call else name, total / self.t)

    def on_mean(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Any function, exactly: ``y_t = t f(mean_t) - (t - 1) f(mean_{t-1})``; its mean is ``f`` of the mean."""
        args, kwargs = self.means(args, kwargs)
        return self.streams(function(*args, **kwargs))

    def means(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Running means in place of the streams among the arguments."""
        number = count()

        def mean(x: Tensor) -> Tensor:
            return self.mean(x, f"x{next(number)}") if isinstance(x, Stream) else x

        return map_tensors(mean, (args, kwargs))

    def streams(self, means: Any) -> Any:
        """Streams with these running means in place of tensors of real numbers."""
        number = count()

        def stream(x: Tensor) -> Tensor:
            if not x.is_floating_point():
                return x
            return self.stream(x * self.t, key=f"out{next(number)}")

        return map_tensors(stream, means)

    def memory(self, tap: str) -> dict[str, Any]:
        """What the population of a tap remembers in this run."""
        memory = self.state.setdefault(f"memory of {tap}", {})
        events = self.simulation.events
        if events is not None:
            memory["events"] = events.setdefault(f"{self.name}_{tap}", Events())
        return memory

    def events_of(self, tap: str) -> Tensor | None:
        """Quanta that the population of a tap sent in this step, by value; None where nobody counts or it did not run."""
        events = self.state.get(f"memory of {tap}", {}).get("events")
        return None if events is None else events.by_value

    def sent(self, tap: str, total: Tensor, *, operator: bool = False) -> None:
        """Note that the population of a tap has run on ``total``; what leaves this call now carries its events.

        Args:
            tap: The population.
            total: Its input.
            operator: Whether its events are weighted and added up to a value of a function.
        """
        if self.simulation.events is None:
            return
        events: Events = self.state[f"memory of {tap}"]["events"]
        self._events = events.by_value.view(total.shape)
        if self.simulation.counter is not None:
            count_neurons(self, tap, events, operator=operator)

    def population(self, tap: str) -> nn.Module:
        """The fitted population of a tap.

        Raises:
            ValueError: If calibration never came here.
        """
        found = self.module._modules.get(f"spiking_{self.local}_{tap}")
        if found is None:
            raise ValueError(
                f"calibration never saw {self.name}: calibrate with inputs that take the same path through the model"
            )
        return found

    def observe(self, tap: str, x: Tensor, channel_axis: int | None, about: dict[str, Any]) -> None:
        """Count values in calibration, by channel where the axis is known.

        Raises:
            ValueError: If a value is not finite.
        """
        statistics = self.simulation.statistics
        assert statistics is not None
        name = f"{self.name}_{tap}"
        rows = by_channel(x, channel_axis)
        known = statistics.taps.get(name)
        if known is None:
            known = Histogram.empty(rows.shape[1], {**about, "channel_axis": channel_axis})
            statistics.taps[name] = known
        known.add(rows, name=name)


def by_channel(x: Tensor, channel_axis: int | None) -> Tensor:
    """View ``[A, C, B]`` with the channels in the middle; C is 1 where the axis is None."""
    if channel_axis is None:
        return x.reshape(x.shape[0] if x.dim() else 1, 1, -1)
    axis = channel_axis % x.dim()
    return x.reshape(x.shape[:axis].numel(), x.shape[axis], x.shape[axis + 1 :].numel())
