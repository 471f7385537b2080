"""A training loop that goes on at the exact batch where a run stopped."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, Sampler

from spikevision.jobs.random_state import restore_random_state
from spikevision.registry import LOOPS

VALIDATED = "last_epoch_validated"  # not "val...": mmengine would log it as a metric


class ResumableBatchSampler(Sampler[list[int]]):
    """A batch sampler that can leave out the first batches of its next pass, without reading their data.

    Args:
        sampler: Sampler of single indices.
        batch_size: Samples per batch.
        drop_last: Leave out a last batch that is not full.
        inner: Config of another batch sampler that makes the batches; None for consecutive indices.
    """

    def __init__(
        self,
        sampler: Sampler[int],
        batch_size: int,
        *,
        drop_last: bool = False,
        inner: Mapping[str, Any] | None = None,
    ) -> None:
        self.sampler = sampler
        self.skip_next = 0
        if inner is None:
            self._batches: Any = BatchSampler(sampler, batch_size, drop_last)
        else:
            defaults = {"sampler": sampler, "batch_size": batch_size}
            self._batches = DATA_SAMPLERS.build(dict(inner), default_args=defaults)

    def __iter__(self) -> Iterator[list[int]]:
        # runs with the first batch, not with iter(): a loader with workers makes two iterators and uses the second
        skip, self.skip_next = self.skip_next, 0
        yield from islice(iter(self._batches), skip, None)

    def __len__(self) -> int:
        return len(self._batches)


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's epoch loop, able to resume in the middle of an epoch.

    The stock loop starts the epoch again while it keeps the iteration counter. This one leaves out the batches that
    were trained on, restores the random generators and runs a validation that the interruption cut off. On one
    process with ``num_workers=0`` the resumed run equals the undisturbed run bit for bit. With workers the order of
    the samples and the model's random numbers are the same too, but the random augmentations of the rest of a half
    epoch differ, because each worker starts its own generator again; from the next epoch on they agree
    (``persistent_workers=False``). In distributed training the generators of rank 0 are kept, so what holds is
    the order of the samples.

    Takes the arguments of the stock loop; ``dataloader`` has to be a config.
    """

    def __init__(self, runner: Runner, dataloader: Mapping[str, Any], **kwargs: Any) -> None:
        if not isinstance(dataloader, Mapping):
            raise ValueError(
                f"ResumableEpochLoop builds its data loader from a config, got {type(dataloader).__name__}"
            )
        super().__init__(runner, _with_resumable_batches(dataloader), **kwargs)
        self.resume_state: dict[str, Any] | None = None

    def run(self) -> Any:
        """Train up to ``max_epochs`` from where the run stands."""
        self.runner.call_hook("before_train")
        start = self._start_batch()
        if start == 0:
            self._restore_random_state()
            self._validate_if_cut_off()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of one."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        start = self._start_batch()
        self.dataloader.batch_sampler.skip_next = start
        batches = iter(self.dataloader)
        if (
            start
        ):  # only now: making the iterator has drawn a number, as it had in the undisturbed run
            self._restore_random_state()
        for index, batch in enumerate(self._fetched(batches), start):
            self.run_iter(index, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _fetched(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches; hooks hear of an error before it goes on (``on_data_error``, between two iterations)."""
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError:
                self.runner.call_hook("on_data_error")
                raise
            yield batch

    def _start_batch(self) -> int:
        """Number of batches of the current epoch that were trained on before."""
        batches = len(self.dataloader)
        start = self._iter - self._epoch * batches
        saved = (self.resume_state or {}).get("batches_per_epoch", batches)
        if saved != batches or not 0 <= start <= batches:
            raise ValueError(
                f"cannot resume at iteration {self._iter} of epoch {self._epoch}: the checkpoint was written with "
                f"{saved} batches per epoch, the config now gives {batches}. Resume with the data, batch size and "
                f"number of processes of the first run, or start a new run with load_from"
            )
        return start

    def _restore_random_state(self) -> None:
        if self.resume_state is not None:
            restore_random_state(self.resume_state)

    def _validate_if_cut_off(self) -> None:
        """Run the validation after an epoch that was finished before the interruption."""
        done = self.runner.message_hub.runtime_info.get(VALIDATED, 0)
        if self.resume_state is not None and 0 < self._epoch != done:
            self._validate_if_due()

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            self.runner.val_loop.run()
            self.runner.message_hub.update_info(VALIDATED, self._epoch)


def _with_resumable_batches(dataloader: Mapping[str, Any]) -> dict[str, Any]:
    """The data loader config with a :class:`ResumableBatchSampler` around its batch sampler."""
    config = dict(dataloader)
    config["batch_sampler"] = {
        "type": ResumableBatchSampler,
        "inner": config.get("batch_sampler"),
        "drop_last": config.pop("drop_last", False),
    }
    return config
