"""The hook through which a training on Ray keeps its checkpoints and its history."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import ray.train
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from spikevision.cluster.history import History
from spikevision.cluster.storage import Storage
from spikevision.compat.checkpoint import safe_load
from spikevision.jobs.loops import ResumableEpochLoop
from spikevision.jobs.random_state import capture_random_state
from spikevision.jobs.weights import unwrapped
from spikevision.statistics import STATISTICS
from spikevision.statistics.energy import STRICT
from spikevision.tasks import ENERGY

CHECKPOINT = "checkpoint.pth"
PJ_PER_MJ = 1e9
NOTICE_INTERVAL = (
    20  # iterations between two looks for a spot notice; a look is a barrier of about 10 ms
)


class ReportHook(Hook):
    """Report checkpoints to Ray Train, which puts them into the storage and gives them back after a failure.

    Each process adds what is its own: the state of its random generators, and the buffers of its model, because the
    statistics of normalisation layers are not averaged over processes (and Meta-SpikeFormer pads with them in
    training, so they reach the weights). A report is due after every ``interval`` epochs
    (validation included) or iterations, at the end, and once when a machine is about to be taken away.

    Args:
        storage: Where the run is.
        name: Name of the run.
        interval: Epochs or iterations between two checkpoints.
        by_epoch: What ``interval`` counts.
        restored: Folder of the checkpoint that this attempt starts from.
        required: Metrics that each validation has to give.
    """

    priority = "LOWEST"

    def __init__(
        self,
        storage: Storage,
        *,
        name: str,
        interval: int,
        by_epoch: bool,
        restored: Path | None,
        required: Sequence[str] = (),
    ) -> None:
        self._storage = storage
        self._name = name
        self._interval = interval
        self._by_epoch = by_epoch
        self._restored = restored
        self._required = required
        self._history = History(storage, f"{name}/metrics.jsonl")
        self._metrics: dict[str, Any] = {}
        self._closed_iter = self._reported_iter = 0
        self._notice_heard = self._pending = False
        self._has_epochs = True

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Give this process its own state; after a change of size all take that of the first."""
        file = self._restored and self._restored / _own_file()
        if not file or not file.is_file():
            return
        own = safe_load(file)
        checkpoint["state_dict"].update(own["buffers"])
        loop = runner.train_loop
        if isinstance(loop, ResumableEpochLoop) and loop.resume_state:
            loop.resume_state = {**loop.resume_state, **own["random"]}

    def before_train(self, runner: Runner) -> None:
        """Note where this attempt starts, and make sure that the processes will agree.

        Raises:
            RuntimeError: The model of several processes is not wrapped: they would drift apart without any error.
        """
        if get_world_size() > 1 and not is_model_wrapper(runner.model):
            raise RuntimeError("several processes, but the model is not wrapped for them")
        self._closed_iter = self._reported_iter = runner.iter
        self._has_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if get_rank() == 0:
            self._history.cut(runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Keep the metrics for the row of this epoch; a training without epochs has a row per validation.

        Raises:
            ValueError: A required metric is missing.
        """
        self._metrics = {  # mmseg's are of NumPy, some of them in float32, which JSON does not know
            name: float(value) if isinstance(value, Real) else value
            for name, value in {**(metrics or {}), **_energy(runner)}.items()
        }
        if get_rank() == 0:
            self._check_required(runner)
        if not self._has_epochs:
            self._close_row(runner)
            if self._pending and _stepped(runner):
                self._report(runner, iteration=runner.iter)

    def before_train_epoch(self, runner: Runner) -> None:
        """Close the epoch before, if one was trained."""
        if runner.iter > self._closed_iter and self._at_epoch_start(runner):
            self._close_row(runner)
            done = runner.epoch if self._by_epoch else runner.iter
            self._pending = self._pending or done % self._interval == 0
            if self._pending and (self._by_epoch or _stepped(runner)):
                self._report(runner, iteration=runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, **_: Any) -> None:
        """Report within an epoch, but not within accumulated gradients, which no checkpoint holds."""
        if self._has_epochs and batch_idx + 1 == len(runner.train_loop.dataloader):
            return  # the end of an epoch is reported after its validation
        iteration = runner.iter + 1
        due = not self._by_epoch and iteration % self._interval == 0
        self._pending = self._notice_came(iteration) or due or self._pending
        if self._pending and _stepped(runner) and not self._validation_follows(runner, iteration):
            self._report(runner, iteration=iteration)

    def after_train(self, runner: Runner) -> None:
        """Report the end."""
        if runner.iter > self._closed_iter:
            self._close_row(runner)
        if runner.iter > self._reported_iter:
            self._report(runner, iteration=runner.iter)

    def _check_required(self, runner: Runner) -> None:
        given = [*self._metrics, *(["loss"] if _loss(runner) else [])]
        missing = [name for name in self._required if name not in given]
        if missing:
            raise ValueError(f"the validation gives no {missing[0]!r}; it gives {', '.join(given)}")

    def _validation_follows(self, runner: Runner, iteration: int) -> bool:
        """Whether a training without epochs is validated right after this iteration: the report waits for it."""
        loop: Any = runner.train_loop
        return (
            not self._has_epochs
            and runner.val_loop is not None
            and iteration >= loop.val_begin
            and (iteration % loop.val_interval == 0 or iteration == loop.max_iters)
        )

    def _at_epoch_start(self, runner: Runner) -> bool:
        batches = len(runner.train_loop.dataloader)
        return self._has_epochs and bool(runner.iter == runner.epoch * batches)

    def _close_row(self, runner: Runner) -> None:
        """Add a row to the history."""
        row = {"epoch": runner.epoch, "iter": runner.iter, "time": time.time(), **self._metrics}
        self._history.add({**row, **_loss(runner)})
        self._metrics = {}
        self._closed_iter = runner.iter

    def _notice_came(self, iteration: int) -> bool:
        """Whether Ray has just learned that a machine of ours is about to be taken away; the same in all processes."""
        if self._notice_heard or iteration % NOTICE_INTERVAL:
            return False
        self._notice_heard = ray.train.get_preemption_info() is not None
        return self._notice_heard

    def _report(self, runner: Runner, *, iteration: int) -> None:
        """Hand a checkpoint to Ray; all processes come here together."""
        row = self._history.last() or {}
        place = {"epoch": runner.epoch, "iter": iteration}
        with tempfile.TemporaryDirectory(prefix="spikevision_") as folder:
            own = {"random": capture_random_state(), "buffers": _buffers(runner)}
            torch.save(own, f"{folder}/{_own_file()}")
            runner.save_checkpoint(folder, CHECKPOINT, meta=place)
            if get_rank() == 0:
                self._history.write()
                self._storage.upload(Path(runner.work_dir), self._name)
            self._hand_over({**row, **place}, folder)
        self._reported_iter = iteration
        self._pending = False

    def _hand_over(self, metrics: dict[str, Any], folder: str) -> None:
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=f"epoch_{metrics['epoch']}_iter_{metrics['iter']}",
        )


def _loss(runner: Runner) -> dict[str, float]:
    """The smoothed loss, where there is one already."""
    if "train/loss" not in runner.message_hub.log_scalars:
        return {}
    return {"loss": float(runner.message_hub.get_scalar("train/loss").current())}


def _energy(runner: Runner) -> dict[str, float]:
    """Energy per image of the spiking network, strict model, where this validation counted spikes."""
    file = Path(runner.work_dir) / STATISTICS
    if get_rank() or not file.is_file():
        return {}
    models = json.loads(file.read_text())["summary"].get("energy", [])
    strict = [model["snn_mj"] for model in models if model["model"] == STRICT.name]
    return {ENERGY: strict[0] * PJ_PER_MJ} if strict else {}


def _own_file() -> str:
    return f"process_{get_rank()}_of_{get_world_size()}.pt"


def _stepped(runner: Runner) -> bool:
    """Whether no gradients wait to be accumulated."""
    return bool(getattr(runner.optim_wrapper, "should_update", lambda: True)())


def _buffers(runner: Runner) -> dict[str, torch.Tensor]:
    """The buffers that a checkpoint holds, of this process's model."""
    model = unwrapped(runner.model)
    kept = model.state_dict()
    return {name: kept[name].cpu() for name, _ in model.named_buffers() if name in kept}
