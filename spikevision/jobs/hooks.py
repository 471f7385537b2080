"""The hooks that the train job adds to every run: position and random state, stopping, the record."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from spikevision.jobs.checkpointing import BACKEND
from spikevision.jobs.files import write_atomically
from spikevision.jobs.loops import ResumableEpochLoop
from spikevision.jobs.random_state import capture_random_state
from spikevision.jobs.record import RunRecord
from spikevision.jobs.run_dir import LAST
from spikevision.jobs.stop import StopRequest, TrainingStopped
from spikevision.jobs.weights import unwrapped
from spikevision.registry import HOOKS
from spikevision.tasks import TaskSpec

STATE = "resume_state"
MODEL_STATE = "training_state"
INTERRUPTED = "interrupted.pth"
SYNC_INTERVAL = 10


@HOOKS.register_module()
class ResumeStateHook(Hook):
    """Keep in each checkpoint what :class:`~spikevision.jobs.loops.ResumableEpochLoop` needs to go on exactly.

    A checkpoint that is written at the end of a validation gets the random state from its beginning, because resuming
    from it runs the validation again.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._before_val: dict[str, Any] | None = None

    def before_val(self, runner: Runner) -> None:
        """Remember the random state at the beginning of a validation."""
        self._before_val = capture_random_state()

    def after_val(self, runner: Runner) -> None:
        """Forget it."""
        self._before_val = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add random state, length of the epoch, and what the model learns but leaves out of its state dict."""
        state = self._before_val or capture_random_state()
        length = len(runner.train_loop.dataloader)
        checkpoint[STATE] = {**state, "batches_per_epoch": length}
        model: Any = unwrapped(runner.model)
        if hasattr(model, "training_state"):
            checkpoint[MODEL_STATE] = model.training_state()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Hand the state to the loop, and to a model that has one, when the run resumes."""
        if runner._resume and isinstance(runner.train_loop, ResumableEpochLoop):
            runner.train_loop.resume_state = checkpoint.get(STATE)
        if runner._resume and MODEL_STATE in checkpoint:
            model: Any = unwrapped(runner.model)
            model.load_training_state(checkpoint[MODEL_STATE])


class StopHook(Hook):
    """Leave training on request, with a checkpoint from which it goes on as if nothing had happened.

    In a validation the state may be a swapped one (EMA): there the run stops at once if the checkpoint of this
    epoch is on disk, and at the end of the validation otherwise.

    Args:
        request: Set by a signal.
    """

    priority = "LOWEST"

    def __init__(self, request: StopRequest) -> None:
        self._request = request
        self._saved_iter = -1

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note up to where the run is on disk."""
        if "optimizer" in checkpoint:
            self._saved_iter = checkpoint["meta"]["iter"]

    def before_train_epoch(self, runner: Runner) -> None:
        """Stop between epochs, but not where an epoch is about to go on in its middle."""
        at_start = runner.iter == runner.epoch * len(runner.train_loop.dataloader)
        if at_start and self._requested(runner):
            self._save_and_stop(runner, iteration=runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, **_: Any) -> None:
        """Stop between iterations, but not within accumulated gradients, which no checkpoint holds."""
        due = not runner.distributed or (runner.iter + 1) % SYNC_INTERVAL == 0
        stepped = getattr(runner.optim_wrapper, "should_update", lambda: True)()
        if due and stepped and self._requested(runner):
            self._save_and_stop(runner, iteration=runner.iter + 1)

    def on_data_error(self, runner: Runner) -> None:
        """Stop where a SIGTERM to the whole process group has ended the data loader workers too."""
        if self._request.signum is not None and not runner.distributed:
            self._save_and_stop(runner, iteration=runner.iter)

    def after_val_iter(self, runner: Runner, batch_idx: int, **_: Any) -> None:
        """Stop within a validation that training has started."""
        signum = self._request.signum
        if signum is not None and not runner.distributed and self._saved_iter == runner.iter:
            raise TrainingStopped(signum)

    def _requested(self, runner: Runner) -> bool:
        """Whether any process was asked to stop; all processes get the same answer."""
        if not runner.distributed:
            return self._request.signum is not None
        asked = torch.tensor(
            [self._request.signum or 0], device=next(runner.model.parameters()).device
        )
        all_reduce(asked, op="max")
        self._request.signum = int(asked.item()) or None
        return self._request.signum is not None

    def _save_and_stop(self, runner: Runner, *, iteration: int) -> None:
        runner.save_checkpoint(
            runner.work_dir,
            INTERRUPTED,
            meta={"epoch": runner.epoch, "iter": iteration},
            backend_args={"backend": BACKEND},
        )
        if runner.rank == 0:
            write_atomically(
                f"{runner.work_dir}/{LAST}", f"{runner.work_dir}/{INTERRUPTED}".encode()
            )
        assert self._request.signum is not None
        raise TrainingStopped(self._request.signum)


class RecordHook(Hook):
    """Keep ``run.json`` up to date while training goes on.

    Args:
        record: The run's record.
        task: Gives the units of the metrics.
    """

    priority = "LOWEST"

    def __init__(self, record: RunRecord, *, task: TaskSpec) -> None:
        self._record = record
        self._task = task

    def before_train(self, runner: Runner) -> None:
        """Record the seed and the length of the run."""
        self._record.update(
            seed=runner.seed, max_epochs=runner.max_epochs, max_iters=runner.max_iters
        )

    def after_train_epoch(self, runner: Runner) -> None:
        """Record the progress."""
        self._record.update(epoch=runner.epoch + 1, iter=runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Record the metrics."""
        self._record.update(metrics=self._task.with_units(metrics or {}))
