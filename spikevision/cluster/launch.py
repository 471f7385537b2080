"""Train on Ray: the same config and the same job, on as many processes and machines as asked for."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from spikevision.cluster.session import require_ray, session
from spikevision.cluster.spec import ClusterResult, ClusterSpec, per_worker_batch
from spikevision.jobs.config import check_data, load_config, task_of
from spikevision.jobs.run_dir import RECORD, base_dir
from spikevision.jobs.spec import RunSpec

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
USER_ERRORS = (ValueError, FileNotFoundError, KeyError, TypeError, NotImplementedError)


def train(spec: RunSpec, cluster: ClusterSpec) -> ClusterResult:
    """Train a model as its config says, on Ray.

    The same call with the same name goes on where the run stands, to the bit when the number of workers is the same.

    Args:
        spec: ``config``, and if wanted ``work_dir``, ``cfg_options``; ``resume=True`` asks for a run to go on with.
        cluster: Size, place and name.

    Raises:
        FileNotFoundError: Config or data is missing, or nothing is there to resume.
        ValueError: Config, storage, name or cluster is not right; says in what.
        RuntimeError: Training failed more often than ``max_failures``.
    """
    require_ray()
    from spikevision.cluster.identity import DriverLock, claim
    from spikevision.cluster.storage import Storage

    config = _config(spec, cluster)
    storage = Storage(cluster.storage or str(base_dir(spec.config, work_dir=spec.work_dir)))
    name = cluster.name or f"{Path(spec.config).stem}_{time.strftime('%Y%m%d_%H%M%S')}"
    storage.check_writable()
    claim(storage, name, config_text=config.pretty_text, resume=bool(spec.resume))
    with DriverLock(storage, name):
        record = storage.read_json(f"{name}/{RECORD}") or {}
        if record.get("status") != "finished":
            print_log(
                f"run folder: {storage.location(name)}; the same command with --name {name} goes on with this run",
                "current",
            )
            _run(config, spec, cluster, storage_uri=storage.uri, name=name)
    return result_of(storage, name)


def result_of(storage: Any, name: str) -> ClusterResult:
    """The result of a run, read from its storage."""
    record = storage.read_json(f"{name}/{RECORD}") or {"status": "unknown", "metrics": {}}
    found = [file for file in storage.files(name) if file.endswith("/checkpoint.pth")]
    last = max(found, key=lambda file: int(file.split("/")[0].rpartition("_")[2]), default=None)
    return ClusterResult(
        location=storage.location(name),
        status=record["status"],
        metrics=record["metrics"],
        checkpoint=storage.location(f"{name}/{last}") if last else None,
    )


def _config(spec: RunSpec, cluster: ClusterSpec) -> Config:
    """The config, checked as far as this machine can."""
    if isinstance(spec.resume, str):
        raise ValueError(
            f"--resume {spec.resume}: on a cluster a run is known by its name; give --name and --storage of that run, "
            f"or start a new one from weights with --cfg-options load_from=PATH"
        )
    config = load_config(spec.config, options=spec.cfg_options)
    task_of(config)
    if cluster.address == "local":
        check_data(config, loaders=LOADERS[:2])
    per_worker_batch(batch_size_of(config), workers=cluster.workers, world_size=cluster.workers[1])
    return config


def batch_size_of(config: Config) -> int:
    """Samples per process and step of a training; 1 where the config leaves it to mmengine."""
    return int((config.get("train_dataloader") or {}).get("batch_size", 1))


def _run(
    config: Config, spec: RunSpec, cluster: ClusterSpec, *, storage_uri: str, name: str
) -> None:
    from spikevision.cluster.nodes import check_nodes
    from spikevision.cluster.storage import Storage

    saver = _saver(config)
    shipped = ship(config, spec, cluster, storage_uri=storage_uri, name=name)
    shipped["checkpoints"] = {
        "interval": max(1, int(saver.get("interval", 1))),
        "by_epoch": bool(saver.get("by_epoch", True)),
    }
    with session(cluster.address, cpus=local_cpus(cluster)) as ray, _interruptible():
        check_nodes(ray, Storage(storage_uri))
        gpus = check_size(ray, cluster)
        fit(shipped, cluster, gpus=gpus, kept=retention(config))


def ship(
    config: Config, spec: RunSpec, cluster: ClusterSpec, *, storage_uri: str, name: str
) -> dict[str, Any]:
    """All that the processes of a training need, as plain values; how often they report is still to be added."""
    return {
        "spec": spec,
        "config_text": _for_workers(config).pretty_text,
        "config_name": f"{Path(spec.config).stem}.py",
        "cwd": os.getcwd(),
        "storage": storage_uri,
        "name": name,
        "workers": list(cluster.workers),
        "batch_size": batch_size_of(config),
        "options": {},
    }


def _saver(config: Config) -> dict[str, Any]:
    return dict((config.get("default_hooks") or {}).get("checkpoint") or {})


def retention(config: Config) -> dict[str, Any]:
    """Which checkpoints Ray keeps, as the config's checkpoint hook says it."""
    saver = _saver(config)
    best = saver.get("save_best")
    best = best[0] if isinstance(best, (list, tuple)) else best  # Ray ranks by one metric
    best = task_of(config).metric if best == "auto" else best
    kept = int(saver.get("max_keep_ckpts", -1))
    rule = saver.get("rule") or ("less" if best and "loss" in best else "greater")
    return {
        "num_to_keep": kept if kept > 0 else None,
        "checkpoint_score_attribute": best,
        "checkpoint_score_order": "min" if rule == "less" else "max",
    }


def fit(
    shipped: dict[str, Any],
    cluster: ClusterSpec,
    *,
    gpus: float,
    kept: dict[str, Any],
    callbacks: Sequence[Any] = (),
) -> None:
    """Run Ray's trainer to its end.

    Args:
        shipped: What :func:`ship` made.
        cluster: Number of workers and of failures.
        gpus: GPUs of each worker.
        kept: What :func:`retention` gave.
        callbacks: Callbacks of Ray Train.

    Raises:
        RuntimeError: Workers were lost too often; a mistake of the user that a worker found is raised as it is.
    """
    from ray.train import (
        CheckpointConfig,
        FailureConfig,
        LoggingConfig,
        RunConfig,
        ScalingConfig,
    )
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from spikevision.cluster.backend import NodeAwareTorchConfig
    from spikevision.cluster.worker import train_loop

    least, most = cluster.workers
    if least < most:  # how long to wait for a lost machine before going on without it
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "30")
    trainer = TorchTrainer(
        train_loop,
        train_loop_config=shipped,
        torch_config=NodeAwareTorchConfig(),
        scaling_config=ScalingConfig(
            num_workers=most if least == most else (least, most),  # type: ignore[arg-type]
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": 1, "GPU": gpus} if gpus else {"CPU": 1},
        ),
        run_config=RunConfig(
            name=shipped["name"],
            storage_path=shipped["storage"],
            logging_config=LoggingConfig(log_level="WARNING"),  # type: ignore[call-arg]
            failure_config=FailureConfig(max_failures=cluster.max_failures),
            checkpoint_config=CheckpointConfig(**kept),
            callbacks=list(callbacks),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise plain_error(error) from error


def plain_error(error: Any) -> Exception:
    """What went wrong in a worker, without the layers around it; a user's mistake stays one."""
    causes = list(getattr(error, "worker_failures", {}).values())
    cause = causes[0] if causes else getattr(error, "controller_failure", error)
    inner = getattr(cause, "cause", None) or cause  # of a RayTaskError
    if isinstance(inner, USER_ERRORS):
        return inner
    last = (str(inner).strip().splitlines() or [type(inner).__name__])[-1]
    return RuntimeError(f"{len(causes) or 1} worker(s) lost: {type(inner).__name__}: {last}")


def _for_workers(config: Config) -> Config:
    """The config with data loader processes that do not hang: a forked one may inherit Ray's locks."""
    changed = Config(config.to_dict(), format_python_code=False)  # each writes its own, laid out
    for name in LOADERS:
        loader = changed.get(name)
        if loader and loader.get("num_workers", 0) > 0:
            loader.setdefault("multiprocessing_context", "forkserver")
    return changed


def local_cpus(cluster: ClusterSpec) -> int:
    """CPUs that our own Ray counts with: all, and more when more workers were asked for."""
    return max(os.cpu_count() or 1, cluster.workers[1])


def check_size(ray: Any, cluster: ClusterSpec) -> float:
    """Compare the workers with the cluster; give the GPUs of each.

    Raises:
        ValueError: The cluster cannot hold the smallest size.
    """
    total = ray.cluster_resources()
    gpus = cluster.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if total.get("GPU", 0) >= 1 else 0.0
    least = cluster.workers[0]
    fits = int(total.get("CPU", 0))
    if gpus:
        fits = min(fits, int(total.get("GPU", 0) / gpus))
    if least > fits:
        raise ValueError(
            f"{least} workers with 1 CPU and {gpus:g} GPU each do not fit the cluster, which has "
            f"{total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs; ask for at most {fits}, or add machines"
        )
    return gpus


@contextmanager
def _interruptible() -> Any:
    """Make Ctrl-C end as it does elsewhere: Ray's trainer puts its own handler in and leaves with status 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        raise KeyboardInterrupt from leaving
    finally:
        signal.signal(signal.SIGINT, before)
