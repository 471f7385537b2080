"""Sweep: many trainings of one config with other values, on Ray Tune."""

import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from spikevision.cluster.launch import (
    LOADERS,
    batch_size_of,
    check_size,
    local_cpus,
    retention,
    ship,
)
from spikevision.cluster.session import require_ray, session
from spikevision.cluster.spec import ClusterSpec, per_worker_batch
from spikevision.cluster.sweep_results import HTML, JSON, Board, Show, SweepResult
from spikevision.cluster.sweep_space import Space, read_space
from spikevision.cluster.sweep_trial import TRIALS, TrialTask
from spikevision.jobs.config import check_data, load_config, task_of
from spikevision.jobs.run_dir import base_dir
from spikevision.jobs.spec import RunSpec
from spikevision.tasks import ENERGY, TaskSpec

EPOCH_LOOPS = ("EpochBasedTrainLoop", "ResumableEpochLoop")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep will do, checked as far as this machine can.

    Args:
        config: Config of the trials.
        task: Its task.
        space: What moves.
        clock: ``epoch`` or ``iter``: what a training counts its length in.
        length: Of the config's training.
        interval: Between two validations.
    """

    config: Config
    task: TaskSpec
    space: Space
    clock: str
    length: int
    interval: int


def sweep(
    spec: RunSpec,
    space: str | Path,
    cluster: ClusterSpec,
    *,
    restore: bool = False,
    show: Show = lambda rows: None,
) -> SweepResult:
    """Train a config with many values, as a space says.

    A trial is one training: in one process for one worker, else by Ray Train on ``cluster.workers`` processes.

    Args:
        spec: ``config``, and if wanted ``work_dir``, ``cfg_options``.
        space: File of the space (:func:`~spikevision.cluster.sweep_space.read_space`).
        cluster: Size of a trial, place and name.
        restore: Go on with the sweep of this name. Ray Tune unpickles files of the storage for that, which runs code
            that they hold: use it only on a storage that nobody else can write to.
        show: Gets all rows whenever one has changed.

    Raises:
        FileNotFoundError: Config, space or data is missing, or nothing is there to restore.
        ValueError: Config, space, storage, name or cluster is not right; says in what.
    """
    require_ray()
    from spikevision.cluster.identity import DriverLock
    from spikevision.cluster.storage import Storage

    plan = _plan(spec, space, cluster)
    if restore and not cluster.name:
        raise ValueError("--restore needs the --name of the sweep")
    storage = Storage(cluster.storage or str(base_dir(spec.config, work_dir=spec.work_dir)))
    name = cluster.name or f"{Path(space).stem}_{time.strftime('%Y%m%d_%H%M%S')}"
    storage.check_writable()
    with DriverLock(storage, name):
        _claim(storage, name, plan, restore=restore)
        print_log(
            f"sweep folder: {storage.location(name)}; if it is cut off, the same command with --name {name} --restore "
            "goes on",
            "current",
        )
        board = Board(
            storage,
            name=name,
            space=plan.space,
            metrics=plan.task.metrics,
            clock=plan.clock,
            length=plan.length,
            show=show,
        )
        if not restore:
            board.write("running")
        try:
            _run(plan, spec, cluster, board=board, place=Storage(storage.below(name)))
        finally:
            result = board.close()
        _write_page(storage, name, result, plan)
        return result


def _plan(spec: RunSpec, space: str | Path, cluster: ClusterSpec) -> Plan:
    config = load_config(spec.config, options=spec.cfg_options)
    task = task_of(config)
    moved = read_space(space, config=config, task=task)
    loop = config.get("train_cfg") or {}
    if not (loop and config.get("val_cfg") is not None and config.get("val_dataloader")):
        raise ValueError(
            f"config {spec.config!r}: a sweep needs a training that is validated (train_cfg, val_cfg, val_dataloader)"
        )
    for size in moved.listed("train_dataloader.batch_size") or [batch_size_of(config)]:
        per_worker_batch(size, workers=cluster.workers, world_size=cluster.workers[1])
    if cluster.address == "local":
        check_data(config, loaders=LOADERS[:2])
    by_epoch = loop.get("by_epoch", str(loop.get("type")).rpartition(".")[2] in EPOCH_LOOPS)
    length = int(loop["max_epochs" if by_epoch else "max_iters"])
    interval = int(loop.get("val_interval", 1 if by_epoch else 1000))
    return Plan(
        config=config,
        task=task,
        space=moved,
        clock="epoch" if by_epoch else "iter",
        length=length,
        interval=min(interval, length),
    )


def _claim(storage: Any, name: str, plan: Plan, *, restore: bool) -> None:
    """Take the name, or go on with its sweep, which has to be asked for: it unpickles."""
    from spikevision.cluster.identity import claim

    if not restore and storage.read_json(f"{name}/{JSON}") is not None:
        raise ValueError(
            f"{storage.location(name)} holds a sweep already: --restore goes on with it (it unpickles files of that "
            "folder: yours alone, please), or take another --name"
        )
    text = f"{plan.config.pretty_text}\n{plan.space.text}"
    claim(storage, name, config_text=text, resume=restore)


def _run(plan: Plan, spec: RunSpec, cluster: ClusterSpec, *, board: Board, place: Any) -> None:
    from spikevision.cluster.nodes import check_nodes

    counted = replace(spec, spike_stats=spec.spike_stats or ENERGY in plan.space.objectives)
    shipped = ship(plan.config, counted, cluster, storage_uri=place.below(TRIALS), name="")
    shipped["checkpoints"] = {
        "interval": plan.interval,
        "by_epoch": plan.clock == "epoch",
        "required": list(plan.space.objectives),
    }
    with session(cluster.address, cpus=local_cpus(cluster), show_logs=False) as ray:
        from spikevision.cluster.sweep_tune import run_tuner

        check_nodes(ray, place)
        task = TrialTask(
            shipped=shipped,
            space=plan.space,
            cluster=cluster,
            gpus=check_size(ray, cluster),
            kept=retention(plan.config),
            attempt=secrets.token_hex(4),
        )
        run_tuner(
            ray,
            task,
            place=place,
            board=board,
            clock=plan.clock,
            length=plan.length,
            interval=plan.interval,
        )


def _write_page(storage: Any, name: str, result: SweepResult, plan: Plan) -> None:
    """The page, where Plotly is there to draw it."""
    from spikevision.cluster.sweep_page import sweep_page

    try:
        page = sweep_page(result, title=name, task=plan.task, clock=plan.clock)
    except ImportError as error:
        print_log(f"no page of the sweep: {error}", "current")
        return
    storage.write(f"{name}/{HTML}", page.encode())
