"""Stop training at the first value that is not finite, and keep the batch that brought it.

A spiking neuron hides such values: NaN reaches no threshold, so a broken layer is merely silent and the loss stays a
number. Inputs, losses and weights are therefore looked at separately.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from spikevision.jobs.files import write_atomically
from spikevision.jobs.weights import unwrapped
from spikevision.registry import HOOKS

__all__ = ["FiniteCheckHook", "NonFiniteError"]

SHOWN = 4
NAMES = ("img_path", "sample_idx", "img_id")  # the first one that a sample has tells it from others


class NonFiniteError(ValueError):
    """Training met NaN or infinity; says where, in which batch, and in which file the batch is."""


@HOOKS.register_module()
class FiniteCheckHook(Hook):
    """Stop training where an input, a loss or a weight is NaN or infinite. The train job adds it to every run.

    A bad input or loss stops the iteration before anything is updated. Weights and statistics are looked at after the
    update: they may be bad while the loss was not. The batch is kept as ``nonfinite_batch_iter_<n>.pt`` in the run
    folder, which ``torch.load`` reads with ``weights_only=True``: a dict of inputs and samples of plain values.

    Raises:
        NonFiniteError: At the first value that is not finite.
    """

    priority = "VERY_HIGH"  # before a checkpoint of bad weights is written

    def __init__(self) -> None:
        self._batch: Any = None

    def before_train(self, runner: Runner) -> None:
        """Begin to look at what enters and leaves the model."""
        model = unwrapped(runner.model)

        def inspect(module: nn.Module, args: tuple, kwargs: dict[str, Any], losses: Any) -> None:
            if self._batch is None or kwargs.get("mode", "loss") != "loss":
                return
            if any(_broken(x) for x in _tensors((*args, *kwargs.values()))):
                self._stop(runner, "an input (after the data preprocessor)")
            bad = [name for name, loss in losses.items() if any(map(_broken, _tensors(loss)))]
            if bad:
                self._stop(runner, f"the loss ({', '.join(bad)})")

        self._handle = model.register_forward_hook(inspect, with_kwargs=True)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Hold the batch until its iteration is over."""
        self._batch = data_batch

    def after_train_iter(self, runner: Runner, batch_idx: int, **_: Any) -> None:
        """Look at the weights and statistics."""
        values = list(_state(unwrapped(runner.model)))
        if not torch.nn.utils.get_total_norm([value for _, value in values]).isfinite():
            bad = [name for name, value in values if _broken(value)]
            self._stop(runner, f"after the update a weight or statistic ({_listed(bad)})")
        self._batch = None

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        self._handle.remove()

    def _stop(self, runner: Runner, what: str) -> None:
        path = Path(runner.work_dir) / f"nonfinite_batch_iter_{runner.iter + 1}.pt"
        batch = _plain(self._batch)
        buffer = io.BytesIO()
        torch.save(batch, buffer)
        write_atomically(path, buffer.getvalue())
        raise NonFiniteError(
            f"{what} is NaN or infinite at iteration {runner.iter + 1}. Batch: {_listed(_names(self._batch))}; "
            f"kept in {path}. Inputs as they came from the data: "
            f"{'not finite: mend the data' if any(map(_broken, _tensors(batch))) else 'finite'}. If the data is right, lower "
            f"the learning rate, lengthen the warm-up or set optim_wrapper.clip_grad=dict(max_norm=1.0); earlier "
            f"checkpoints are good"
        )


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers of real numbers."""
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_floating_point():
            yield name, value.detach()


def _broken(value: Tensor) -> bool:
    return value.is_floating_point() and not bool(value.detach().isfinite().all())


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors within dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _plain(value: Any) -> Any:
    """A batch as dicts, lists, tensors, numbers and text."""
    if isinstance(value, BaseDataElement):
        return {name: _plain(item) for name, item in value.all_items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value)
    if value is None or isinstance(value, (Tensor, bool, int, float, str)):
        return value
    inner = getattr(value, "tensor", None)  # boxes of mmdet
    return inner if isinstance(inner, Tensor) else str(value)


def _names(batch: Any) -> list[str]:
    """What the samples of a batch are called."""
    samples = batch.get("data_samples", []) if isinstance(batch, Mapping) else []
    return [
        next(
            (f"{key} {sample.get(key)}" for key in NAMES if sample.get(key) is not None), "unnamed"
        )
        for sample in samples
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
