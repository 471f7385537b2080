"""The train job: mmengine's Runner on a config, in a run folder, able to stop and go on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from spikevision.jobs.config import check_data, check_precision
from spikevision.jobs.hooks import INTERRUPTED, RecordHook, StopHook
from spikevision.jobs.recipe import start_from_weights
from spikevision.jobs.record import RunRecord
from spikevision.jobs.run_dir import ResumePoint, find_resume_point, last_checkpoint
from spikevision.jobs.runtime import Job, build_model, prepare, recorded
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.jobs.stop import StopRequest, TrainingStopped
from spikevision.jobs.weights import check_resumable, read_checkpoint

STOCK_LOOPS = ("EpochBasedTrainLoop", "mmengine.EpochBasedTrainLoop")
OUR_HOOKS = ("ResumeStateHook", "FiniteCheckHook", "FiringCheckHook")
STOCK_CHECKPOINTS = ("CheckpointHook", "mmengine.CheckpointHook")


def train(spec: RunSpec, *, saver: Hook | None = None) -> RunResult:
    """Train a model as its config says.

    Ctrl-C and SIGTERM end the current iteration, write a checkpoint and give a result with status ``interrupted``.

    Args:
        spec: ``config``, and if wanted ``resume``, ``work_dir``, ``cfg_options``, ``launcher``.
        saver: Hook that keeps the checkpoints in the place of the config's own; a cluster's go to its storage.

    Raises:
        FileNotFoundError: Config, data or checkpoint is missing.
        ValueError: Config, data or checkpoint is not right; says in what.
        OSError: The disk is full. The last good checkpoint is whole.
    """
    with StopRequest() as request:
        job = prepare(spec)
        check_precision(job.config)
        check_data(job.config, loaders=("train_dataloader", "val_dataloader"))
        point = find_resume_point(spec.resume, base=job.base) if spec.resume else None
        _make_resumable(job.config)
        _check_start(job.config, point)
        run_dir = point.run_dir if point else None
        with recorded(job, spec, name="train", run_dir=run_dir) as record:
            return _run(job, record, request, saver)


def _run(job: Job, record: RunRecord, request: StopRequest, saver: Hook | None) -> RunResult:
    if saver is not None:
        job.config.default_hooks = {**job.config.default_hooks, "checkpoint": None}
    runner = Runner.from_cfg(job.config)
    if saver is not None:
        runner.register_hook(saver)
    # mmengine logs a line for each parameter whose weight decay differs: hundreds before the first loss
    runner.logger.addFilter(lambda line: not line.getMessage().startswith("paramwise_options"))
    runner.register_hook(StopHook(request))
    runner.register_hook(RecordHook(record, task=job.task))
    run_dir = Path(runner.work_dir)
    try:
        runner.train()
    except TrainingStopped as stop:
        record.update(status="interrupted", signal=stop.signum)
        return _result(run_dir, record, signal=stop.signum)
    record.update(status="finished")
    if is_main_process() and last_checkpoint(run_dir) != run_dir / INTERRUPTED:
        (run_dir / INTERRUPTED).unlink(missing_ok=True)  # left from an earlier stop, outdated now
    return _result(run_dir, record)


def _result(run_dir: Path, record: RunRecord, *, signal: int | None = None) -> RunResult:
    metrics = {name: entry["value"] for name, entry in record.fields["metrics"].items()}
    return RunResult(
        run_dir=run_dir,
        status=record.fields["status"],
        metrics=metrics,
        checkpoint=last_checkpoint(run_dir),
        signal=signal,
    )


def _make_resumable(config: Config) -> None:
    """Put our loop and checkpoint hook in the place of the stock ones; a config's own classes stay."""
    loop: dict[str, Any] = dict(config.get("train_cfg") or {})
    if loop.get("by_epoch") is True or loop.get("type") in STOCK_LOOPS:
        loop.pop("by_epoch", None)
        config.train_cfg = {**loop, "type": "spikevision.ResumableEpochLoop"}
    hooks: dict[str, Any] = dict(config.get("default_hooks") or {})
    saver: dict[str, Any] = dict(
        hooks.get("checkpoint") or {"type": "CheckpointHook", "interval": 1}
    )
    if saver.get("type") in STOCK_CHECKPOINTS and not saver.keys() & {
        "backend_args",
        "file_client_args",
    }:
        hooks["checkpoint"] = {**saver, "type": "spikevision.AtomicCheckpointHook"}
    config.default_hooks = hooks
    given = list(config.get("custom_hooks") or [])
    types = {hook["type"] for hook in given if isinstance(hook, Mapping)}
    config.custom_hooks = given + [
        {"type": f"spikevision.{name}"}
        for name in OUR_HOOKS
        if not types & {name, f"spikevision.{name}"}
    ]


def _check_start(config: Config, point: ResumePoint | None) -> None:
    """Read the checkpoint that the run will start from before a run folder is touched, and take over its seed."""
    config.resume = point is not None
    if point is None:
        start_from_weights(config)
        source = config.get("load_from")
        if source and "://" not in source:
            read_checkpoint(source)
        return
    config.load_from = str(point.checkpoint)
    checkpoint = check_resumable(build_model(config), point.checkpoint)
    seed = checkpoint["meta"].get("seed")
    if (
        seed is not None
    ):  # the samplers are built with it, before mmengine reads it from the checkpoint
        config.randomness = {**(config.get("randomness") or {}), "seed": seed}
