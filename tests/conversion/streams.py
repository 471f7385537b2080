"""Runs a module on streams that change from step to step, which the image of a whole network does not."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spikevision.conversion import STAConfig
from spikevision.conversion.rules import Rules
from spikevision.conversion.simulation import Simulation, follow
from spikevision.conversion.site import Phase
from spikevision.conversion.stream import Current, Stream, plain

EXACT = STAConfig(preset="exact")


class Call(nn.Module):
    """A module that calls one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def running_means(
    module: nn.Module, inputs: list[list[Tensor]], config: STAConfig = EXACT
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Mean of each input and of the output after every step; ``inputs[t]`` holds the arguments of a step."""
    simulation = Simulation(module.eval(), Rules(config), Phase.SPIKES)
    stop_following = follow(module)
    with simulation.running():
        sums, total = [torch.zeros_like(x) for x in inputs[0]], 0
        for t, step in enumerate(inputs, 1):
            streams = tuple(Stream.wrap(x.clone(), simulation, Current.ANALOG) for x in step)
            total = total + plain(simulation.step(streams, {}))
            sums = [a + b for a, b in zip(sums, step, strict=True)]
            yield [x / t for x in sums], total / t
    stop_following()


def random_steps(*shapes: tuple[int, ...], steps: int = 6, seed: int = 0) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        for _ in range(steps)
    ]


def assert_exact_on_means(module: nn.Module, *shapes: tuple[int, ...], atol: float = 1e-12) -> None:
    """Whatever the streams do, the mean of the output is the function of the means."""
    with torch.no_grad():
        for means, found in running_means(module, random_steps(*shapes)):
            torch.testing.assert_close(found, module(*means), rtol=0, atol=atol)
