"""How fast a LIF neuron is, forward and backward, against SpikingJelly's eager multi-step LIF.

Prints one JSON line. All contestants run in turn in one process, round after round, so that a busy
machine slows all of them; ratios are of medians (and of minima), more than 1 means faster than
SpikingJelly. Needs ``pip install --no-deps 'spikingjelly>=2.0,<3' loguru``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from results import publish
from torch import Tensor

from spikevision.neurons import LIF
from spikevision.ops import neuron_backend

CONTESTANTS = ("spikingjelly", "compiled", "chunked", "plain")


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--shape",
        type=int,
        nargs="+",
        default=[4, 8, 64, 56, 56],
        help="shape of the input, time first (default: 4 8 64 56 56)",
    )
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default: 15)")
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="threads (default: all cores)"
    )
    arguments = parser.parse_args()
    if len(arguments.shape) < 2 or min(arguments.shape) < 1:
        parser.error("--shape takes at least two positive numbers, time steps first")
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    return arguments


def spikingjelly_lif() -> Callable[[Tensor], Tensor]:
    """SpikingJelly's multi-step LIF with our default settings, reset before each call."""
    from spikingjelly.activation_based import functional, neuron, surrogate

    module = neuron.LIFNode(
        tau=2.0, detach_reset=True, surrogate_function=surrogate.Sigmoid(alpha=4.0), step_mode="m"
    )

    def run(x: Tensor) -> Tensor:
        functional.reset_net(module)
        return module(x)

    return run


def our_lif(backend: str, x: Tensor) -> Tensor:
    """Our LIF, run by one backend."""
    with neuron_backend(backend):
        return LIF()(x)


def time_round(neuron: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> tuple[float, float]:
    """Milliseconds of one forward without gradients, and of one forward and backward."""
    with torch.no_grad():
        start = time.perf_counter()
        neuron(x)
        forward_ms = (time.perf_counter() - start) * 1e3
    leaf = x.detach().requires_grad_()
    start = time.perf_counter()
    neuron(leaf).backward(grad)
    return forward_ms, (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    x, grad = torch.randn(2, *arguments.shape).mul(1.5).unbind(0)
    neurons = {"spikingjelly": spikingjelly_lif()}
    neurons |= {name: partial(our_lif, name) for name in CONTESTANTS[1:]}

    start = time.perf_counter()
    time_round(neurons["compiled"], x, grad)
    compile_s = time.perf_counter() - start
    for neuron in neurons.values():
        time_round(neuron, x, grad)
    rounds = [
        {name: time_round(neuron, x, grad) for name, neuron in neurons.items()}
        for _ in range(arguments.rounds)
    ]

    def ratio(name: str, what: int, summary: Callable[[list[float]], float]) -> float:
        theirs, ours = (summary([r[n][what] for r in rounds]) for n in ("spikingjelly", name))
        return round(theirs / ours, 2)

    median, both, forward = statistics.median, 1, 0
    result = {
        "name": "neuron",
        "ratio_to_spikingjelly": ratio("compiled", both, median),
        "ratio_to_spikingjelly_min": ratio("compiled", both, min),
        "ratio_chunked_to_spikingjelly": ratio("chunked", both, median),
        "ratio_chunked_to_spikingjelly_min": ratio("chunked", both, min),
        "ratio_plain_to_spikingjelly": ratio("plain", both, median),
        "ratio_forward_to_spikingjelly": ratio("compiled", forward, median),
        "ratio_chunked_forward_to_spikingjelly": ratio("chunked", forward, median),
        "median_ms": {n: round(median([r[n][both] for r in rounds]), 2) for n in neurons},
        "compile_s": round(compile_s, 2),
        "shape": arguments.shape,
        "rounds": arguments.rounds,
        "threads": arguments.threads,
    }
    publish(result)


if __name__ == "__main__":
    main()
