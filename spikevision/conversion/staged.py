"""Models of mmpretrain, mmdet and mmsegmentation in predict mode: networks on streams, decoding on their means.

Such a model is run in stages. What mm's own ``predict`` computes with networks runs on streams, what it decodes
(proposals, non-maximum suppression, argmax, resizing to the image) is untouched code that sees running means:

``classifier``       one stage: ``extract_feat`` and ``head.forward``
``segmentor``        one stage: ``encode_decode``, once for every crop in slide mode
``one-stage, DETR``  one stage: ``extract_feat``, ``forward_transformer`` where there is one, ``bbox_head.forward``
``two-stage``        first ``extract_feat`` and ``rpn_head.forward``; behind them every head of ``roi_head`` is a stage
                     of its own, which gets the RoI features of the mean feature maps as a direct current
``further heads``    of the model (semantic, masks): stages of their own on the mean feature maps

RoI features cannot stream on from the first stage: which regions are looked at follows from the means of all its
steps. RoIAlign is linear, so the features of the means are the means of the features, for whatever boxes. A read-out
at step t is therefore: t steps of the first stage, proposals from its means, t steps of the box head, boxes from its
means, t steps of the mask head. Later read-outs of the same run go on with the first stage and run the heads anew.
State belongs to a stage of a call.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import MethodType
from typing import Any

import torch
from torch import nn

from spikevision.conversion.runs import simulate
from spikevision.conversion.simulation import Simulation, running

__all__ = ["Preprocessed", "answers", "is_task_data", "link_stages", "predict"]

HEADS = ("rpn_head", "bbox_head", "head")  # whose forward ends the first stage
_READING: ContextVar[StagedRun | None] = ContextVar("reading", default=None)


def is_task_data(model: nn.Module, x: Any) -> bool:
    """Whether x is what the dataloader of an mm model yields, rather than tensors for its network."""
    given = isinstance(x, dict) and {"inputs", "data_samples"} <= set(x)
    return given and hasattr(model, "data_preprocessor")


def answers(
    model: nn.Module,
    simulation: Callable[..., Simulation],
    args: tuple,
    kwargs: dict[str, Any],
    at: Sequence[int],
) -> Iterator[tuple[int, Any]]:
    """Step and output after it, for each of the wanted steps, whatever kind of model and input it is.

    Args:
        model: The model, with its stages linked.
        simulation: Makes a simulation; takes ``entry``.
        args: Positional arguments.
        kwargs: Keyword arguments; for an mm model what its dataloader yields.
        at: The wanted steps.
    """
    if not args and is_task_data(model, kwargs):
        yield from StagedRun(model, simulation, kwargs, at).read_outs()
        return
    for t, output in simulate(simulation(), args, kwargs, max(at)):
        if t in at:
            yield t, output


def predict(model: Any, data: dict[str, Any]) -> Any:
    """What mm's ``test_step`` answers; the samples in ``data`` are left alone."""
    _set_device(model)
    data = model.data_preprocessor(copy.deepcopy(data), False)
    return model(**data, mode="predict")


class Preprocessed(dict[str, Any]):
    """What the model's data preprocessor has made of what a dataloader yields."""


class StagedRun:
    """One call of an mm model in predict mode.

    Args:
        model: The model, with its stages linked.
        simulation: Makes the simulation of a stage; gets ``entry``, the function to run.
        data: What a dataloader yields: ``inputs`` and ``data_samples``; or :class:`Preprocessed`.
        at: Steps of the read-outs.
    """

    def __init__(
        self,
        model: Any,
        simulation: Callable[..., Simulation],
        data: dict[str, Any],
        at: Sequence[int],
    ) -> None:
        _set_device(model)
        self.model = model
        self.simulation = simulation
        self.at = sorted(set(at))
        self.data = data if isinstance(data, Preprocessed) else model.data_preprocessor(data, False)
        self.t = 0
        self._links = _links_of(model)
        if not self._links:
            raise ValueError(
                f"{type(model).__name__} has none of encode_decode and extract_feat with one of {', '.join(HEADS)}: "
                "its predict mode cannot be converted; convert(model, ...) with tensors converts its forward"
            )
        self._kept: list[
            _Advancing
        ] = []  # stages that see the image alone, in the order of their calls
        self._next = 0
        self._record: dict[str, Any] | None = (
            None  # what the links of the first stage answer in this step
        )
        self._means: dict[str, Any] = {}

    def read_outs(self) -> Iterator[tuple[int, Any]]:
        """Step and predictions after it, one read-out by one."""
        for t in self.at:
            self.t, self._next = t, 0
            samples = copy.deepcopy(self.data["data_samples"])
            token = _READING.set(self)
            try:
                with torch.no_grad():
                    output = self.model(**{**self.data, "data_samples": samples}, mode="predict")
            finally:
                _READING.reset(token)
            yield t, output

    def answer(self, key: str, method: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What a linked method answers in this read-out."""
        if running() is not None:
            return self._within_a_step(key, method, args, kwargs)
        if key == "encode_decode":
            return self._of_the_image(lambda x: method(x, *args[1:], **kwargs), args[0])
        if key == "extract_feat":
            self._means = self._of_the_image(self._first_stage, args[0])
        if key in self._means:
            return self._means[key]
        return _Advancing(self.simulation(entry=method), args, kwargs, self.t).at(self.t)

    def _within_a_step(self, key: str, method: Callable, args: tuple, kwargs: dict) -> Any:
        result = method(*args, **kwargs)
        if self._record is None:
            return result
        self._record[key] = result
        if key == self._links[-1]:
            raise _StageEndsError
        return result

    def _first_stage(self, inputs: Any) -> dict[str, Any]:
        """Run mm's ``predict`` on streams as far as the last link; answer with what the links answered."""
        self._record = {}
        try:
            self.model(**{**self.data, "inputs": inputs}, mode="predict")
        except _StageEndsError:
            return self._record
        finally:
            self._record = None
        raise ValueError(
            f"{type(self.model).__name__} never calls {self._links[-1]}, where its network should end"
        )

    def _of_the_image(self, entry: Callable, inputs: Any) -> Any:
        if self._next == len(self._kept):
            self._kept.append(_Advancing(self.simulation(entry=entry), (inputs,), {}, self.at[-1]))
        self._next += 1
        return self._kept[self._next - 1].at(self.t)


class _StageEndsError(Exception):
    """Leaves the code behind the first stage out of a step."""


class _Advancing:
    """The running means of a stage, step by step as they are asked for."""

    def __init__(self, simulation: Simulation, args: tuple, kwargs: dict, last: int) -> None:
        self.steps: Iterator | None = simulate(simulation, args, kwargs, last)
        self.last = last
        self.t = 0
        self.means: Any = None

    def at(self, t: int) -> Any:
        """Means after step t."""
        while self.t < t:
            assert self.steps is not None
            self.t, self.means = next(self.steps)
        if self.t == self.last:
            self.steps = None  # its state is not needed any more
        return self.means


def link_stages(model: nn.Module) -> Callable[[], None]:
    """Let the stages of an mm model be answered by the run that reads out, in the thread of that run.

    Models of other kinds are left alone.

    Returns:
        A function that ends it.
    """
    linked = []
    for key in _links_of(model):
        path, _, name = key.rpartition(".")
        owner = model.get_submodule(path)
        if name not in vars(owner):
            setattr(owner, name, MethodType(_linked(key, name), owner))
            linked.append((owner, name))

    def end() -> None:
        for owner, name in linked:
            delattr(owner, name)

    return end


def _linked(key: str, name: str) -> Callable:
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        method = MethodType(getattr(type(self), name), self)
        reading = _READING.get()
        if reading is None:
            return method(*args, **kwargs)
        return reading.answer(key, method, args, kwargs)

    return call


def _links_of(model: nn.Module) -> list[str]:
    """Names of the methods that are stages or parts of one; the first stage ends with the last."""
    if hasattr(model, "encode_decode"):
        return ["encode_decode"]
    head = next((name for name in HEADS if getattr(model, name, None) is not None), None)
    if not hasattr(model, "extract_feat") or head is None:
        return []
    others = [name for name, _ in model.named_children() if name.endswith("head")]
    others = [name for name in others if name not in (head, "roi_head")]
    links = [f"{name}.forward" for name in (*others, *_roi_stages(model))] + ["extract_feat"]
    if hasattr(model, "forward_transformer"):
        links.append("forward_transformer")
    return [*links, f"{head}.forward"]


def _roi_stages(model: nn.Module) -> Iterator[str]:
    """Names of the networks in the RoI head; those of a cascade one by one."""
    roi_head = getattr(model, "roi_head", None)
    if roi_head is None:
        return
    for name, module in roi_head.named_children():
        if not name.endswith("head"):
            continue  # extractors, which are linear, and losses
        if isinstance(module, nn.ModuleList):
            yield from (f"roi_head.{name}.{i}" for i in range(len(module)))
        else:
            yield f"roi_head.{name}"


def _set_device(model: Any) -> None:
    """Mm's preprocessors keep the device to which they move images, and learn of it from ``model.to`` alone."""
    parameter = next(model.parameters(), None)
    if parameter is not None:
        model.data_preprocessor.to(parameter.device)
