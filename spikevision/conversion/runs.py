"""How a simulation is driven: arguments, steps, and running means of the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from spikevision.conversion.simulation import Simulation
from spikevision.conversion.stream import map_tensors, plain, tensors_in

__all__ = ["as_arguments", "check_steps", "simulate"]


def simulate(
    simulation: Simulation, args: tuple, kwargs: dict[str, Any], time_steps: int
) -> Iterator[tuple[int, Any]]:
    """Run a simulation and answer with the running mean of the output after every step."""
    sums: list[Tensor] = []
    for t in range(1, time_steps + 1):
        with simulation.running():
            output = plain(simulation.step(args, kwargs))
        real = [x for x in tensors_in(output) if x.is_floating_point()]
        sums = [a + b for a, b in zip(sums, real, strict=True)] if t > 1 else real
        yield t, _means(output, sums, t)


def _means(output: Any, sums: list[Tensor], t: int) -> Any:
    """The output with running means for its real numbers."""
    remaining = iter(sums)
    return map_tensors(lambda x: next(remaining) / t if x.is_floating_point() else x, output)


def as_arguments(x: Any) -> tuple[tuple, dict[str, Any]]:
    """Positional and keyword arguments: of a tuple, a dictionary, or one thing alone."""
    if isinstance(x, dict):
        return (), x
    return (x if isinstance(x, tuple) else (x,)), {}


def check_steps(time_steps: int, wanted: set[int]) -> None:
    """Refuse impossible numbers of steps.

    Raises:
        ValueError: If there is one.
    """
    if time_steps < 1:
        raise ValueError(f"time_steps must be at least 1, got {time_steps}")
    if not wanted:
        raise ValueError("at is empty: name at least one step")
    outside = sorted(t for t in wanted if not 1 <= t <= time_steps)
    if outside:
        raise ValueError(f"at must lie in 1 ... {time_steps}, got {outside}")
