"""Say in words when a layer falls silent or saturates while the network trains."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from spikevision.neurons.base import SpikingNeuron
from spikevision.registry import HOOKS
from spikevision.statistics.firing_rate import SATURATED, FiringRate, firing_rates
from spikevision.statistics.recorder import SpikeRecorder
from spikevision.statistics.tensor_summary import Kind

__all__ = ["FiringCheckHook"]

SILENT = (
    "is silent: none of its neurons fired. If it stays so, lower v_threshold or the learning rate"
)
ALWAYS = (
    f"is saturated: its neurons fire in more than {SATURATED:.0%} of all cases and carry next to nothing. "
    "If it stays so, raise v_threshold or lower the learning rate"
)
ALIVE = "works again"


@HOOKS.register_module()
class FiringCheckHook(Hook):
    """Look at the firing rate of each neuron layer every so often, and warn where it changes to silent or saturated.

    A layer is mentioned when its state changes, not each time. The train job adds this hook to every run.

    Args:
        interval: Training iterations between two looks; the first iteration is always looked at. One look costs about
            as much as the rates of :class:`~spikevision.statistics.SpikeStatisticsHook` for one batch.

    Raises:
        ValueError: If ``interval`` is less than 1.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, *, interval: int = 200) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval}")
        self.interval = interval
        self._recorder: SpikeRecorder | None = None
        self._states: dict[str, str] = {}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start counting if this iteration is due."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        due = runner.iter % self.interval == 0
        if due and any(isinstance(module, SpikingNeuron) for module in model.modules()):
            self._recorder = SpikeRecorder(model, operations=False).attach()

    def after_train_iter(self, runner: Runner, batch_idx: int, **_: Any) -> None:
        """Say what has changed since the last look."""
        if self._recorder is None:
            return
        self._recorder.detach()
        record = self._recorder.record
        self._recorder = None
        for rate in firing_rates(record):
            state = state_of(rate, binary=record.neurons[rate.name].kind is Kind.BINARY)
            if state != self._states.get(rate.name, ALIVE):
                MMLogger.get_current_instance().warning(
                    f"iteration {runner.iter + 1}: {rate.name} (rate {rate.mean:.3f}) {state}"
                )
            self._states[rate.name] = state


def state_of(rate: FiringRate, *, binary: bool) -> str:
    """``SILENT``, ``ALWAYS`` (of spikes that are 0 or 1; integers may well be larger than 1) or ``ALIVE``."""
    if rate.mean == 0:
        return SILENT
    return ALWAYS if binary and rate.mean > SATURATED else ALIVE
