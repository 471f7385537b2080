"""The hook that counts spikes at validation and test, and in training if asked."""

from __future__ import annotations

import json
import logging
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from spikevision.registry import HOOKS
from spikevision.statistics.record import Record, merge_records
from spikevision.statistics.recorder import SpikeRecorder
from spikevision.statistics.samples import SpikeSamples
from spikevision.statistics.summary import scalars, summarise
from spikevision.version import __version__

__all__ = ["SAMPLES", "STATISTICS", "SpikeStatisticsHook", "counted_model"]

STATISTICS = "statistics.json"
SAMPLES = "spike_samples.json"
SHOWN_WARNINGS = 3  # in the log; a network that does not fire yet has one for each layer


@HOOKS.register_module()
class SpikeStatisticsHook(Hook):
    """Write ``statistics.json`` at each validation and test, and send scalars to the Visualizer.

    All processes are counted together. The padding of mmengine's distributed sampler, which shows some images twice
    so that all processes get equally many, is removed for the evaluation: no image counts twice.

    Args:
        operations: Whether to count synaptic operations and energy, or firing rates alone (faster).
        train_interval: Also count every so many training iterations and send scalars; 0 never does.
        samples: Number of images to keep with their spike maps, in ``spike_samples.json``, for the report.

    Raises:
        ValueError: If ``train_interval`` or ``samples`` is negative.
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self, *, operations: bool = True, train_interval: int = 0, samples: int = 2
    ) -> None:
        if train_interval < 0:
            raise ValueError(f"train_interval must be 0 (never) or more, got {train_interval}")
        if samples < 0:
            raise ValueError(f"samples must be 0 (none) or more, got {samples}")
        self.operations = operations
        self.train_interval = train_interval
        self.samples = samples
        self._recorder: SpikeRecorder | None = None
        self._samples: SpikeSamples | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Start counting."""
        self._begin(runner, runner.val_dataloader)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write what was counted."""
        self._finish(runner, metrics)

    def before_test_epoch(self, runner: Runner) -> None:
        """Start counting."""
        self._begin(runner, runner.test_dataloader)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write what was counted."""
        self._finish(runner, metrics)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start counting if this iteration is due."""
        if self.train_interval and (runner.iter + 1) % self.train_interval == 0:
            self._recorder = SpikeRecorder(
                counted_model(runner.model), operations=self.operations
            ).attach()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Send the scalars of this iteration."""
        if self._recorder is not None:
            record = self._gather()
            if runner.rank != 0:
                return
            values = {f"train/{name}": value for name, value in scalars(record).items()}
            runner.visualizer.add_scalars(values, step=runner.iter + 1)

    def add(self, record: Record) -> None:
        """Count in what was recorded elsewhere, between the beginning and the end of a validation or test."""
        assert self._recorder is not None
        own = self._recorder.record
        self._recorder.record = merge_records([own, record]) if own.images else record

    def _begin(self, runner: Runner, dataloader: Any) -> None:
        self._abandon()  # of an epoch that an exception ended
        _drop_padding(dataloader.sampler)
        if self.samples and runner.rank == 0:
            self._samples = SpikeSamples(counted_model(runner.model), count=self.samples)
        self._recorder = SpikeRecorder(
            counted_model(runner.model), operations=self.operations
        ).attach()

    def _abandon(self) -> None:
        if self._recorder is not None:
            self._recorder.detach()
            self._recorder = None
        if self._samples is not None:
            self._samples.detach()

    def _gather(self) -> Record:
        """What all processes counted."""
        assert self._recorder is not None
        own = self._recorder.record
        self._abandon()
        parts = all_gather_object(own.to_dict())
        return merge_records(Record.from_dict(part) for part in parts)

    def _finish(self, runner: Runner, metrics: dict[str, float] | None) -> None:
        record = self._gather()
        if runner.rank != 0:
            return
        summary = summarise(record)
        runner.visualizer.add_scalars(scalars(record), step=runner.iter)
        if summary["warnings"]:
            print_log(_in_short(summary["warnings"]), logger="current", level=logging.WARNING)
        plain = {  # mmseg's are of NumPy, some of them in float32
            name: float(value) for name, value in (metrics or {}).items() if isinstance(value, Real)
        }
        values = {
            **record.to_dict(),
            "spikevision": __version__,
            "metrics": plain,
            "summary": summary,
        }
        _write(Path(runner.work_dir) / STATISTICS, values)
        if self._samples is not None:
            _write(Path(runner.work_dir) / SAMPLES, {"images": self._samples.images})


def _in_short(warnings: list[str]) -> str:
    """The first few warnings, and how many more there are."""
    more = len(warnings) - SHOWN_WARNINGS
    ending = [f"and {more} more, all in {STATISTICS}"] if more > 0 else []
    return "spikes: " + "; ".join([*warnings[:SHOWN_WARNINGS], *ending])


def counted_model(model: Any) -> nn.Module:
    """The model whose calls are counted: inside the wrappers for several processes and for test-time augmentation.

    The latter never calls itself, but its model once per view: there a view counts as an image.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def _drop_padding(sampler: Any) -> None:
    """Make a distributed sampler what it is with ``round_up=False``; the evaluators take unequal parts as well."""
    if get_world_size() > 1 and getattr(sampler, "round_up", False):
        size = len(sampler.dataset)
        sampler.round_up = False
        sampler.num_samples = -((sampler.rank - size) // sampler.world_size)
        sampler.total_size = size


def _write(path: Path, values: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n")
    part.replace(path)
