"""A tensor that carries the current of one time step through unchanged model code.

Convention (direct current): the network runs as a whole at every step t = 1, 2, ...; each tensor of the ANN becomes
a stream ``x_t`` whose running mean ``(x_1 + ... + x_t) / t`` stands for the ANN's value. Affine functions act on
``x_t`` as they are, with their full bias at every step; every other function needs a handler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from spikevision.conversion.simulation import Simulation

__all__ = ["Current", "Stream", "map_tensors", "plain", "streams_in", "tensors_in"]


class Current(StrEnum):
    """What flows in a stream."""

    DIRECT = "direct"  # the same at every step: the image and affine functions of it
    SPIKES = "spikes"  # graded spikes, possibly scaled and shifted per channel
    ANALOG = "analog"  # real values that change from step to step


class Stream(Tensor):
    """One step of a stream; every function of it is decided by its simulation.

    Attributes:
        simulation: The run that it belongs to.
        current: What flows in it.
        channel_axis: Axis of the channels where that is known: -1 (tokens), 1 (maps) or None.
        events: Unit events behind each value of spikes, of the same shape, where somebody counts.
    """

    simulation: Simulation
    current: Current
    channel_axis: int | None
    events: Tensor | None

    @staticmethod
    def wrap(
        x: Tensor,
        simulation: Simulation,
        current: Current,
        channel_axis: int | None = None,
        events: Tensor | None = None,
    ) -> Stream:
        """A stream that shares the memory of ``x``."""
        stream = x.as_subclass(Stream)
        stream.simulation = simulation
        stream.current = current
        stream.channel_axis = channel_axis
        stream.events = events
        return stream

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Hand the call to the simulation of the first stream among the arguments."""
        kwargs = kwargs or {}
        streams = list(streams_in((args, kwargs)))
        return streams[0].simulation.call(func, args, kwargs, streams)


def streams_in(value: Any) -> Iterator[Stream]:
    """All streams in nested lists, tuples and dictionaries."""
    if isinstance(value, Stream):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from streams_in(item)
    elif isinstance(value, dict):
        yield from streams_in(list(value.values()))


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply a function to every tensor in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(function, item) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(function, item) for item in value)
    if isinstance(value, dict):
        return {key: map_tensors(function, item) for key, item in value.items()}
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    found: list[Tensor] = []
    map_tensors(found.append, value)
    return found


def plain(value: Any) -> Any:
    """The same with ordinary tensors for streams; memory is shared."""
    return map_tensors(lambda x: x.as_subclass(Tensor) if isinstance(x, Stream) else x, value)
