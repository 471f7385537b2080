"""What each process of a training on Ray does: the train job of this package, on what the driver sent."""

import multiprocessing
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import ray.train
from mmengine.dist import is_main_process

from spikevision.cluster.hooks import CHECKPOINT, ReportHook
from spikevision.cluster.spec import per_worker_batch
from spikevision.cluster.storage import Storage
from spikevision.jobs.run_dir import RECORD
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

Launcher = Literal["none", "pytorch"]


def train_loop(shipped: dict[str, Any]) -> None:
    """What each worker of Ray Train runs.

    Args:
        shipped: What :func:`spikevision.cluster.launch.ship` made, and ``checkpoints``: how often to report.
    """
    run(shipped, checkpoint=ray.train.get_checkpoint(), hook=ReportHook, launcher="pytorch")


def run(
    shipped: dict[str, Any], *, checkpoint: Any, hook: type[ReportHook], launcher: Launcher
) -> None:
    """Train, from the newest checkpoint of the run where there is one.

    Args:
        shipped: As for :func:`train_loop`.
        checkpoint: What Ray wants this attempt to start from, or None.
        hook: Hands checkpoints and metrics to Ray.
        launcher: ``pytorch`` where Ray has made a process group.
    """
    multiprocessing.set_forkserver_preload(["torch", "mmengine.runner", "spikevision.registry"])
    if os.path.isdir(shipped["cwd"]):
        os.chdir(shipped["cwd"])
    storage, name = Storage(shipped["storage"]), shipped["name"]
    with tempfile.TemporaryDirectory(prefix="spikevision_") as scratch:
        folder = Path(scratch)
        config = folder / shipped["config_name"]
        config.write_text(shipped["config_text"])
        restored = _restore(checkpoint, storage, name, folder / "run")
        saver = hook(storage, name=name, restored=restored, **shipped["checkpoints"])
        sent: RunSpec = shipped["spec"]
        spec = replace(
            sent,
            config=str(config),
            work_dir=str(folder / "runs"),
            resume=str(restored / CHECKPOINT) if restored else False,
            cfg_options=_options(shipped),
            launcher=launcher,
        )
        try:
            train(spec, saver=saver)
        finally:
            if is_main_process():
                for record in folder.glob(f"**/{RECORD}"):
                    storage.upload(record.parent, name)


def _restore(checkpoint: Any, storage: Storage, name: str, run_dir: Path) -> Path | None:
    """Fetch a checkpoint, with the run's record beside it."""
    if checkpoint is None:
        return None
    checkpoint.to_directory(str(run_dir))
    (run_dir / RECORD).write_bytes(storage.read(f"{name}/{RECORD}") or b"{}")
    return run_dir


def _options(shipped: dict[str, Any]) -> dict[str, Any]:
    """What the config does not hold yet: what a sweep tries, and what depends on the number of processes."""
    options = dict(shipped["options"])
    workers = tuple(shipped["workers"])
    if workers[0] != workers[1]:
        world_size = ray.train.get_context().get_world_size()
        size = options.get("train_dataloader.batch_size", shipped["batch_size"])
        options["train_dataloader.batch_size"] = per_worker_batch(
            size, workers=workers, world_size=world_size
        )
    return options
