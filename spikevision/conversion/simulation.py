"""One run of a model on streams: the current step, the state of every operator, and who is computing.

All state lives here and ends with the run, so a converted model needs no reset, may be called from several threads,
and takes images of another size at the next call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikevision.conversion.affine import (
    FRESH,
    QUESTIONS,
    affine_current,
    changes_in_place,
    function_name,
    is_affine,
)
from spikevision.conversion.calibration import Statistics
from spikevision.conversion.counting import (
    OperationCounter,
    carry_events,
    count_float_layer,
    count_function,
    count_on_mean,
    count_sum,
)
from spikevision.conversion.handlers import Handler, function_handler_of, module_handler_of
from spikevision.conversion.rules import Rules
from spikevision.conversion.site import Phase, Site
from spikevision.conversion.stream import (
    Current,
    Stream,
    map_tensors,
    plain,
    streams_in,
    tensors_in,
)

__all__ = ["Simulation", "follow", "running"]


_RUNNING: ContextVar[Simulation | None] = ContextVar("running", default=None)


def running() -> Simulation | None:
    """The simulation of this thread whose step is being computed, or None."""
    return _RUNNING.get()


def follow(model: nn.Module) -> Callable[[], None]:
    """Let the modules of a model report to the running simulation of their thread, if there is one.

    Returns:
        A function that ends it.
    """
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(_enter, with_kwargs=True))
        handles.append(module.register_forward_hook(_leave, with_kwargs=True, always_call=True))

    def end() -> None:
        for handle in handles:
            handle.remove()

    return end


def _enter(module: nn.Module, args: tuple, kwargs: dict) -> Any:
    running = _RUNNING.get()
    return running.enter(module, args, kwargs) if running and running.knows(module) else None


def _leave(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
    running = _RUNNING.get()
    return (
        running.leave(module, args, kwargs, output) if running and running.knows(module) else None
    )


class Simulation:
    """Runs a prepared model step by step.

    Args:
        model: The model; nothing is left in it.
        rules: Config by module.
        phase: What the operators compute.
        statistics: Where taps count, in calibration.
        events: Where populations count their events, by name; None counts none.
        counter: Is told all operations, see :mod:`spikevision.conversion.counting`.
        entry: What a step calls, a method of the model or of a part of it; None calls the model.

    Attributes:
        on_stream: Called with the name and the running mean of every stream that a handler makes; what it answers, if
            not None, flows on in its place as a direct current.
    """

    def __init__(
        self,
        model: nn.Module,
        rules: Rules,
        phase: Phase,
        *,
        statistics: Statistics | None = None,
        events: dict[str, Any] | None = None,
        counter: OperationCounter | None = None,
        entry: Callable | None = None,
    ) -> None:
        self.model = model
        self.entry = entry or model
        self.rules = rules
        self.phase = phase
        self.statistics = statistics
        self.counter = counter if phase is Phase.SPIKES else None
        self.events = {} if events is None and self.counter else events
        self.t = 0
        self.on_stream: Callable[[str, Tensor], Tensor | None] | None = None
        self._names = {id(module): name for name, module in model.named_modules()}
        self._states: dict[tuple[str, int], dict[str, Any]] = {}
        self._calls: Counter[str] = Counter()
        self._frames: list[tuple[str, nn.Module, Counter[str]]] = []
        self._stand_in: _StandIn | None = None

    def step(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run the model once, on direct currents unless streams are given; tensors of the result are streams."""
        self.t += 1
        self._calls.clear()
        self._frames = [("", self.model, Counter())]
        args, kwargs = map_tensors(self._direct, (args, kwargs))
        return self.entry(*args, **kwargs)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the simulation that the modules of this thread report to."""
        token = _RUNNING.set(self)
        try:
            with torch.no_grad():
                yield
        finally:
            _RUNNING.reset(token)

    def knows(self, module: nn.Module) -> bool:
        """Whether the module belongs to the model of this run."""
        return id(module) in self._names

    def call(self, func: Callable, args: tuple, kwargs: dict, streams: list[Stream]) -> Any:
        """Decide on one function call that has streams among its arguments."""
        name = function_name(func)
        if name in FRESH:
            return func(*plain(args), **plain(kwargs))
        if (
            name in QUESTIONS or name == "get"
        ):  # x.dim(), x.shape; but x.type(dtype) and x.mT are tensors
            value = func(*plain(args), **plain(kwargs))
            return self._like(value, "transpose", streams) if isinstance(value, Tensor) else value
        if "input" in kwargs:  # the name that torch gives the first argument
            args, kwargs = (
                (kwargs["input"], *args),
                {k: v for k, v in kwargs.items() if k != "input"},
            )
        owner, module, ordinals = self._frames[-1]
        config = self.rules.config_of(owner)
        handler = function_handler_of(config, name)
        if handler is not None:
            local = f"{name}_{ordinals[name]}" if ordinals[name] else name
            ordinals[name] += 1
            site = self._site(owner, module, local, config)
            result = handler(site, *args, **kwargs)
            if self.counter is not None:
                count_function(site, name, args, kwargs, result)
            return _write(args[0], result) if changes_in_place(func, kwargs) else result
        if is_affine(name, args, kwargs, streams):
            value = func(*plain(args), **plain(kwargs))
            if all(x.is_floating_point() for x in tensors_in(value)):
                result = self._like(value, name, streams)
                if self.counter is not None:
                    carry_events(func, name, args, kwargs, result)
                    count_sum(self, name, streams, result)
                return result
        if all(stream.current is Current.DIRECT for stream in streams):
            value = func(*plain(args), **plain(kwargs))
            return map_tensors(self._direct, value)
        if config.unsupported == "exact":
            local = f"{name}_{ordinals[name]}" if ordinals[name] else name
            ordinals[name] += 1
            site = self._site(owner, module, local, config)
            result = site.on_mean(func, args, kwargs)
            if self.counter is not None:
                count_on_mean(site, result)
            return result
        raise ValueError(_no_handler(name, owner, module, config))

    # --- helpers

    def _direct(self, x: Tensor) -> Tensor:
        if isinstance(x, Stream) or not x.is_floating_point():
            return x
        return Stream.wrap(x, self, Current.DIRECT)

    def _like(self, value: Any, name: str, streams: list[Stream]) -> Any:
        current, axis = affine_current(name, streams)
        return map_tensors(lambda x: Stream.wrap(x, self, current, axis), value)

    def _site(self, owner: str, module: nn.Module, local: str, config: Any) -> Site:
        name = f"{owner}.spiking_{local}" if owner else f"spiking_{local}"
        call = self._calls[name]
        self._calls[name] += 1
        state = self._states.setdefault((name, call), {})
        return Site(self, module, name, local, call, config, state)

    def enter(self, module: nn.Module, args: tuple, kwargs: dict) -> Any:
        """Note that a module begins; it gets means where something else will answer in its place."""
        if self._stand_in is not None:
            return None
        name = self._names[id(module)]
        self._frames.append((name, module, Counter()))
        config = self.rules.config_of(name)
        handler = _float_module if config is None else module_handler_of(config, module)
        if handler is None or next(streams_in((args, kwargs)), None) is None:
            return None
        site = self._site(name, module, "module", config)
        self._stand_in = _StandIn(module, site, handler, args, kwargs)
        return site.means(args, kwargs)

    def leave(self, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
        """Note that a module ends, and answer for it where it was only asked for means."""
        stand_in = self._stand_in
        if stand_in is not None:
            if self.counter is not None and stand_in.handler is _float_module:
                count_float_layer(self, self._names[id(module)], module, args, output)
            if module is not stand_in.module:
                return None
            self._stand_in = None
            if stand_in.handler is _float_module:
                output = stand_in.site.streams(output)
            else:
                site = stand_in.site
                output = stand_in.handler(site, module, *stand_in.args, **stand_in.kwargs)
                if self.counter is not None:
                    count_function(site, "module", stand_in.args, stand_in.kwargs, output)
        self._frames.pop()
        return output


class _StandIn(NamedTuple):
    """A module that runs on plain means, and what will answer in its place."""

    module: nn.Module
    site: Site
    handler: Handler
    args: tuple
    kwargs: dict[str, Any]


def _float_module(site: Site, *args: Any, **kwargs: Any) -> None:
    """Mark of a module that is not converted: what it computes on the means is the answer."""
    raise AssertionError("never called")


def _write(x: Tensor, result: Stream) -> Stream:
    """Leave a result where the caller of a function in place will look for it."""
    x.as_subclass(Tensor).copy_(result.as_subclass(Tensor))
    about = (result.simulation, result.current, result.channel_axis, result.events)
    return Stream.wrap(x, *about)


def _no_handler(name: str, owner: str, module: nn.Module, config: Any) -> str:
    where = f"module {owner!r} ({type(module).__name__})" if owner else type(module).__name__
    method = type(config).__name__
    return (
        f"{where} computes {name!r}, which is not affine and for which {method} has no handler. Ways out: "
        f"{method}(unsupported='exact') computes such functions exactly on running means; "
        f"rules={{{owner!r}: None}} keeps the whole module in floating point; "
        f"handles({method}, {name!r}) registers a handler."
    )
