"""What one trial of a sweep does: train with its own values, in the process of the trial or by workers of its own."""

import os
from dataclasses import dataclass
from typing import Any

from spikevision.cluster.spec import ClusterSpec
from spikevision.cluster.storage import Storage
from spikevision.cluster.sweep_space import Space

FAILED = "failed.json"
TRIALS = "trials"
HEAD = "node:__internal_head__"
A_LITTLE = 0.001  # of a resource of the head node that each Ray has once: a driver takes no CPU from its workers


@dataclass(frozen=True, kw_only=True)
class TrialTask:
    """What all trials of a sweep have in common.

    Args:
        shipped: What :func:`spikevision.cluster.launch.ship` made; its storage is the folder of the trials.
        space: What moves.
        cluster: Size of a trial.
        gpus: GPUs of each of its processes.
        kept: Which checkpoints are kept (:func:`spikevision.cluster.launch.retention`).
        attempt: Name of this start of the sweep's driver.
    """

    shipped: dict[str, Any]
    space: Space
    cluster: ClusterSpec
    gpus: float
    kept: dict[str, Any]
    attempt: str

    @property
    def has_workers(self) -> bool:
        """Whether a trial starts processes of its own."""
        return self.cluster.workers != (1, 1)

    def bundle(self) -> dict[str, float]:
        """What Tune reserves for a trial; workers of a trial reserve their own place."""
        if self.has_workers:
            return {HEAD: A_LITTLE}
        return {"CPU": 1, "GPU": self.gpus} if self.gpus else {"CPU": 1}


def run_trial(drawn: dict[str, Any], *, task: TrialTask) -> None:
    """Train with the values of one trial; goes on from the trial's checkpoint, if it has one.

    A mistake in Python is noted and not tried again by Tune's retries, which are for lost processes.

    Args:
        drawn: Parameter -> what Tune drew.
        task: What all trials have in common.
    """
    from ray import tune

    name = tune.get_context().get_trial_id()
    storage = Storage(task.shipped["storage"])
    note = storage.read_json(f"{name}/{FAILED}")
    if note and note["attempt"] == task.attempt:
        raise RuntimeError(note["error"])
    shipped = {**task.shipped, "name": name, "options": task.space.options(drawn)}
    try:
        if task.has_workers:
            _train_with_workers(shipped, task)
        else:
            _train_here(shipped)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        storage.write_json(f"{name}/{FAILED}", {"attempt": task.attempt, "error": text})
        raise


def _train_here(shipped: dict[str, Any]) -> None:
    from ray import tune

    from spikevision.cluster.sweep_hook import TrialHook
    from spikevision.cluster.worker import run

    run(shipped, checkpoint=tune.get_checkpoint(), hook=TrialHook, launcher="none")


def _train_with_workers(shipped: dict[str, Any], task: TrialTask) -> None:
    """Ray Train finds its checkpoints by the run's name, so that a restored trial goes on by itself."""
    from ray.tune.integration.ray_train import TuneReportCallback

    from spikevision.cluster.launch import fit

    if os.path.isdir(shipped["cwd"]):
        os.chdir(shipped["cwd"])
    fit(shipped, task.cluster, gpus=task.gpus, kept=task.kept, callbacks=[TuneReportCallback()])
