"""A converted model: the ANN as it was, with populations of neurons beside the functions that they replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.conversion.counting import OperationCounter
from spikevision.conversion.report import ConversionReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.runs import as_arguments, check_steps
from spikevision.conversion.simulation import Simulation, follow
from spikevision.conversion.site import Events, Phase
from spikevision.conversion.staged import Preprocessed, answers, is_task_data, link_stages, predict

__all__ = ["SpikingModel"]


class SpikingModel(nn.Module):
    """Runs a converted network for any number of time steps.

    Made by :func:`spikevision.conversion.convert`. State belongs to a call: there is nothing to reset, and the next
    call may bring images of another size.

    A converted classifier, detector or segmentor of OpenMMLab takes what its dataloader yields wherever an input is
    asked for, and answers with its data samples; a Runner or an inferencer may use it as any other model.

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
        link_stages(model)
        self.eval()

    @property
    def time_steps(self) -> int:
        """Steps of ``snn(x)``."""
        return self.rules.default.time_steps

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Output after ``time_steps`` steps, shaped as that of the ANN."""
        [(_, output)] = self._answers(Phase.SPIKES, args, kwargs, [self.time_steps])
        return output

    def test_step(self, data: dict[str, Any]) -> Any:
        """Predictions of an mm model after ``time_steps`` steps, as its Runner asks for them."""
        return self(**data)

    val_step = test_step

    def predict(self, inputs: Any, data_samples: list | None) -> Any:
        """Predictions of an mm model after ``time_steps`` steps, for inputs that its data preprocessor has made."""
        data = Preprocessed(inputs=inputs, data_samples=data_samples)
        [(_, output)] = self._answers(Phase.SPIKES, (), data, [self.time_steps])
        return output

    def run(
        self, x: Any, time_steps: int | None = None, *, at: Sequence[int] | None = None
    ) -> dict[int, Any]:
        """Outputs after chosen numbers of steps, from one run.

        Args:
            x: What the ANN takes: a tensor, a tuple of arguments or a dictionary of keyword arguments; or what the
                dataloader of an mm model yields.
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
        return dict(self._answers(Phase.SPIKES, args, kwargs, sorted(wanted)))

    def steps(self, *args: Any, time_steps: int, **kwargs: Any) -> Iterator[tuple[int, Any]]:
        """Step and output after it, one by one; stop whenever the answer is good enough."""
        check_steps(time_steps, {time_steps})
        yield from self._answers(Phase.SPIKES, args, kwargs, range(1, time_steps + 1))

    def ann(self, *args: Any, **kwargs: Any) -> Any:
        """Output of the network before conversion."""
        with torch.no_grad():
            if not args and is_task_data(self.model, kwargs):
                return predict(self.model, kwargs)
            return self.model(*args, **kwargs)

    def without_spikes(self, *args: Any, **kwargs: Any) -> Any:
        """Output with the fitted operators in place and real values where spikes would be."""
        [(_, output)] = self._answers(Phase.ANALOG, args, kwargs, [1])
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
        events: dict[str, Events] = {}
        for _ in self._answers(
            Phase.SPIKES, args, kwargs, [time_steps or self.time_steps], events=events
        ):
            pass
        return events

    def _answers(
        self,
        phase: Phase,
        args: tuple,
        kwargs: dict[str, Any],
        at: Sequence[int],
        *,
        events: dict[str, Events] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        def simulation(**entry: Any) -> Simulation:
            return Simulation(
                self.model,
                self.rules,
                phase,
                counter=self.operation_counter,
                events=events,
                **entry,
            )

        return answers(self.model, simulation, args, kwargs, at)
