"""A converted model: the ANN as it was, with populations of neurons beside the functions that they replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.conversion.counting import OperationCounter
from spikevision.conversion.report import ConversionReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.simulation import Simulation, follow
from spikevision.conversion.site import Events, Phase
from spikevision.conversion.stream import map_tensors, plain, tensors_in

__all__ = ["SpikingModel"]


class SpikingModel(nn.Module):
    """Runs a converted network for any number of time steps.

    Made by :func:`spikevision.conversion.convert`. State belongs to a call: there is nothing to reset, and the next
    call may bring images of another size.

    Args:
        model: The network; called without a simulation it is still the ANN.
        rules: Config by module.
        report: What the conversion did.

    Attributes:
        operation_counter: Is told all operations of the runs, see :mod:`spikevision.conversion.counting`; None tells
            nobody.
    """

    operation_counter: OperationCounter | None = None

    def __init__(self, model: nn.Module, rules: Rules, report: ConversionReport) -> None:
        super().__init__()
        self.model = model
        self.rules = rules
        self.report = report
        follow(model)
        self.eval()

    @property
    def time_steps(self) -> int:
        """Steps of ``snn(x)``."""
        return self.rules.default.time_steps

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Output after ``time_steps`` steps, shaped as that of the ANN."""
        output = None
        for _, output in self.steps(*args, time_steps=self.time_steps, **kwargs):  # noqa: B007
            pass
        return output

    def run(
        self, x: Any, time_steps: int | None = None, *, at: Sequence[int] | None = None
    ) -> dict[int, Any]:
        """Outputs after chosen numbers of steps, from one run.

        Args:
            x: What the ANN takes: a tensor, a tuple of arguments or a dictionary of keyword arguments.
            time_steps: Number of steps T; None takes that of the config.
            at: Steps whose output is wanted, each in 1 ... T; None wants the last alone.

        Returns:
            Step -> output.

        Raises:
            ValueError: If T is less than 1 or a step is outside 1 ... T.
        """
        time_steps = self.time_steps if time_steps is None else time_steps
        wanted = {time_steps} if at is None else set(at)
        check_steps(time_steps, wanted)
        args, kwargs = as_arguments(x)
        last = max(wanted)
        outputs = self.steps(*args, time_steps=last, **kwargs)
        return {t: output for t, output in outputs if t in wanted}

    def steps(self, *args: Any, time_steps: int, **kwargs: Any) -> Iterator[tuple[int, Any]]:
        """Step and output after it, one by one; stop whenever the answer is good enough."""
        check_steps(time_steps, {time_steps})
        yield from simulate(self._simulation(Phase.SPIKES), args, kwargs, time_steps)

    def ann(self, *args: Any, **kwargs: Any) -> Any:
        """Output of the network before conversion."""
        with torch.no_grad():
            return self.model(*args, **kwargs)

    def without_spikes(self, *args: Any, **kwargs: Any) -> Any:
        """Output with the fitted operators in place and real values where spikes would be."""
        [(_, output)] = simulate(self._simulation(Phase.ANALOG), args, kwargs, 1)
        return output

    def run_until_sure(
        self, x: Any, *, margin: float, time_steps: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Classify with an early exit: an image keeps the first output whose lead is large enough.

        Args:
            x: As for :meth:`run`.
            margin: Lead of the best class over the second that ends the run of an image, as a difference of
                probabilities in (0, 1).
            time_steps: Most steps; None takes those of the config.

        Returns:
            Logits ``[N, classes]``, and the number of steps that each image took, ``[N]``.

        Raises:
            ValueError: If the margin is not in (0, 1) or the network does not answer with logits.
        """
        if not 0 < margin < 1:
            raise ValueError(f"margin must be between 0 and 1, got {margin}")
        args, kwargs = as_arguments(x)
        answer, taken = None, torch.zeros(0)
        total = self.time_steps if time_steps is None else time_steps
        for t, logits in self.steps(*args, time_steps=total, **kwargs):
            if not isinstance(logits, Tensor) or logits.dim() != 2:
                raise ValueError(
                    "an early exit needs a network that answers with logits [N, classes]"
                )
            if answer is None:
                answer, taken = logits.clone(), torch.zeros(len(logits), dtype=torch.int64)
            open_ = taken == 0
            answer[open_] = logits[open_]
            best = logits.softmax(-1).topk(2, -1).values
            sure = (best[:, 0] - best[:, 1]).cpu() >= margin
            taken[open_ & (sure | (t == total))] = t
            if bool(taken.all()):
                break
        assert answer is not None
        return answer, taken

    def count_events(self, x: Any, time_steps: int | None = None) -> dict[str, Events]:
        """What every population sends for these inputs, by its name."""
        args, kwargs = as_arguments(x)
        simulation = self._simulation(Phase.SPIKES, count_events=True)
        for _ in simulate(simulation, args, kwargs, time_steps or self.time_steps):
            pass
        assert simulation.events is not None
        return simulation.events

    def _simulation(self, phase: Phase, **kwargs: Any) -> Simulation:
        return Simulation(self.model, self.rules, phase, counter=self.operation_counter, **kwargs)


def simulate(
    simulation: Simulation, args: tuple, kwargs: dict[str, Any], time_steps: int
) -> Iterator[tuple[int, Any]]:
    """Run a simulation and answer with the running mean of the output after every step."""
    sums: list[Tensor] = []
    for t in range(1, time_steps + 1):
        with simulation.running():
            output = plain(simulation.step(args, kwargs))
        real = [x for x in tensors_in(output) if x.is_floating_point()]
        sums = [a + b for a, b in zip(sums, real, strict=True)] if t > 1 else real
        yield t, _means(output, sums, t)


def _means(output: Any, sums: list[Tensor], t: int) -> Any:
    """The output with running means for its real numbers."""
    remaining = iter(sums)
    return map_tensors(lambda x: next(remaining) / t if x.is_floating_point() else x, output)


def as_arguments(x: Any) -> tuple[tuple, dict[str, Any]]:
    """Positional and keyword arguments: of a tuple, a dictionary, or one thing alone."""
    if isinstance(x, dict):
        return (), x
    return (x if isinstance(x, tuple) else (x,)), {}


def check_steps(time_steps: int, wanted: set[int]) -> None:
    """Refuse impossible numbers of steps.

    Raises:
        ValueError: If there is one.
    """
    if time_steps < 1:
        raise ValueError(f"time_steps must be at least 1, got {time_steps}")
    if not wanted:
        raise ValueError("at is empty: name at least one step")
    outside = sorted(t for t in wanted if not 1 <= t <= time_steps)
    if outside:
        raise ValueError(f"at must lie in 1 ... {time_steps}, got {outside}")
