"""Evaluate on Ray: the batches of the test data over actors that may die, merged as if one process had done it.

What an actor gives back for a batch are the rows that each metric keeps for it, and what the neurons did, in whole
numbers. Merged in the order of the batches they are what one process would have had, whichever actor did what, how
many there were and which of them died: only then is a metric computed from them, once. Float kernels may depend on the
shape of a batch and on the number of threads, so both are those of the one process.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator.metric import _to_cpu
from mmengine.hooks import IterTimerHook, LoggerHook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, TestLoop, autocast

from spikevision.cluster.pool import Pool, open_pool
from spikevision.cluster.spec import ClusterSpec
from spikevision.jobs import evaluate as job
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.jobs.weights import load_weights
from spikevision.statistics import Record, SpikeRecorder, SpikeStatisticsHook, merge_records

PROGRESS = (IterTimerHook, LoggerHook)
Unit = list[int]
"""Indices of the samples of one batch."""


def evaluate(spec: RunSpec, cluster: ClusterSpec | Pool) -> RunResult:
    """Evaluate a checkpoint on the config's test data, with its batches over actors.

    Args:
        spec: As for :func:`spikevision.jobs.evaluate.evaluate`; the data has to be where the config says on every
            machine, the checkpoint on this one.
        cluster: Size and place; of a range of workers as many are taken as fit. For several evaluations in a row, an
            open pool (:func:`~spikevision.cluster.pool.open_pool`).

    Raises:
        FileNotFoundError: Config, data or checkpoint is missing.
        ValueError: Config, data, checkpoint or cluster is not right; says in what.
        RuntimeError: An actor died more often than ``max_failures``.
    """
    if spec.checkpoint is None or not Path(spec.checkpoint).is_file():
        raise FileNotFoundError(f"checkpoint {spec.checkpoint!r} does not exist")
    checkpoint = Path(spec.checkpoint)
    with open_pool(cluster) as pool:
        return job.evaluate(
            spec, make_loop=lambda runner: ShardedTestLoop(runner, pool, checkpoint)
        )


class ShardedTestLoop(TestLoop):
    """mmengine's test loop, with the model called elsewhere.

    Args:
        runner: Runner of the evaluation; its own model is not called.
        pool: The actors.
        checkpoint: Weights.
    """

    def __init__(self, runner: Runner, pool: Pool, checkpoint: Path) -> None:
        config = runner.cfg
        fp16 = bool(config.test_cfg.get("fp16", False))
        super().__init__(runner, config.test_dataloader, config.test_evaluator, fp16=fp16)
        self._pool = pool
        self._statistics = [hook for hook in runner.hooks if isinstance(hook, SpikeStatisticsHook)]
        self._shipped = {
            "config": Config(config.to_dict(), format_python_code=False).pretty_text,
            "cwd": os.getcwd(),
            "checkpoint": checkpoint.read_bytes(),
            "threads": torch.get_num_threads(),
            "statistics": [hook.operations for hook in self._statistics],
        }

    def run(self) -> dict:
        """Test all batches."""
        self.runner.call_hook("before_test")
        self.runner.call_hook("before_test_epoch")
        units = [list(unit) for unit in self.dataloader.batch_sampler]
        records: list[list[Record]] = [[] for _ in self._statistics]
        progress = [hook for hook in self.runner.hooks if isinstance(hook, PROGRESS)]
        for index, (rows, counted) in enumerate(self._pool.map(UnitWorker, self._shipped, units)):
            for metric, more in zip(self.evaluator.metrics, rows, strict=True):
                metric.results.extend(more)
            for kept, record in zip(records, counted, strict=True):
                kept.append(Record.from_dict(record))
            for hook in progress:  # the others see the batches where the model is called
                hook.before_test_iter(self.runner, batch_idx=index)
                hook.after_test_iter(self.runner, batch_idx=index)
        for hook, parts in zip(self._statistics, records, strict=True):
            hook.add(merge_records(parts))
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook("after_test_epoch", metrics=metrics)
        self.runner.call_hook("after_test")
        return metrics


class UnitWorker:
    """In an actor: mmengine's Runner of a config, for one batch after the other.

    Args:
        shipped: What :class:`ShardedTestLoop` made.
    """

    def __init__(self, shipped: dict[str, Any]) -> None:
        if os.path.isdir(shipped["cwd"]):
            os.chdir(shipped["cwd"])
        torch.set_num_threads(shipped["threads"])
        config = Config.fromstring(shipped["config"], ".py")
        config = Config(config.to_dict(), format_python_code=False)  # seconds, and nobody reads it
        self._folder = tempfile.TemporaryDirectory(prefix="spikevision_")
        config.work_dir = self._folder.name
        config.log_level = "ERROR"
        init_default_scope(config.default_scope)
        self._runner = Runner.from_cfg(config)
        self._runner.model.eval()
        self._hooks = [hook for hook in self._runner.hooks if not isinstance(hook, PROGRESS)]
        weights = Path(self._folder.name) / "weights.pth"
        weights.write_bytes(shipped["checkpoint"])
        load_weights(self._runner.model, weights)
        loader = {**config.test_dataloader, "num_workers": 0, "persistent_workers": False}
        self._data = Runner.build_dataloader(loader)
        self._metrics = self._runner.build_evaluator(config.test_evaluator)
        self._metrics.dataset_meta = getattr(self._data.dataset, "metainfo", None)
        self._fp16 = bool(config.test_cfg.get("fp16", False))
        self._statistics: list[bool] = shipped["statistics"]

    @torch.no_grad()
    def run(self, index: int, unit: Unit) -> tuple[list[list], list[dict[str, Any]]]:
        """Rows of each metric, and the record of each statistics hook, for one batch."""
        model = self._runner.model
        batch = self._data.collate_fn([self._data.dataset[each] for each in unit])
        recorders = [SpikeRecorder(model, operations=each) for each in self._statistics]
        for hook in self._hooks:
            hook.before_test_iter(self._runner, batch_idx=index, data_batch=batch)
        for recorder in recorders:
            recorder.attach()
        with autocast(enabled=self._fp16):
            outputs = model.test_step(batch)
        for recorder in recorders:
            recorder.detach()
        self._metrics.process(data_samples=outputs, data_batch=batch)
        for hook in self._hooks:
            hook.after_test_iter(self._runner, batch_idx=index, data_batch=batch, outputs=outputs)
        rows = [_to_cpu(metric.results) for metric in self._metrics.metrics]
        for metric in self._metrics.metrics:
            metric.results = []
        return rows, [recorder.record.to_dict() for recorder in recorders]
