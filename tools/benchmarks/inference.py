"""Time of inference: deployed, as trained, and the same network on SpikingJelly's neurons.

All contestants have the same weights, take turns in one process, and see the same images; ratios are medians over the
rounds. Statistics are first set from noise, so that the random network fires. ``--weights int8`` deploys with eight-bit weights.
A detector and a segmenter are timed whole, from pictures to detections or class maps; deployed is backbone and neck.
Beside them stand the same deployed network at T=1 (``cost_of_time``; with statistics of its own and lower thresholds, so
that as large a share of its neurons fires in a step: a network of T hardly fires in its first step), where the time of the
deployed network goes (``share_of_time``), and the share of the convolution peak of this processor, measured with a large
3x3 convolution in the same run, that the dense convolutions reach (``share_of_peak``; event-driven ones as if they did
all operations of a dense one, depthwise ones are not in it). Prints one JSON line and keeps it. Needs
``pip install --no-deps 'spikingjelly>=2.0,<3' loguru``.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from contestants import NETWORKS, build, on_spikingjelly
from dense_models import DENSE_MODELS, around, build_dense, deployable, pictures, prepared
from measure import interleaved_ms, ratio
from results import publish
from time_by_kind import time_by_kind
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from spikevision.deploy import DeploySettings, Plan, fold_and_choose
from spikevision.deploy.kernels import fastest_ms
from spikevision.jobs.sample_batches import normalise_to
from spikevision.neurons import SpikingNeuron
from spikevision.statistics import SpikeRecorder
from spikevision.statistics.firing_rate import mean_firing_rate

PEERS = ("ours_t1", "trained", "spikingjelly")


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=[*NETWORKS, *DENSE_MODELS])
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--weights", choices=("float32", "int8"), default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    return parser.parse_args()


class Task(NamedTuple):
    """A trained model, how it is called, and what of it is deployed."""

    model: nn.Module
    call: Callable[[nn.Module], object]
    network: nn.Module
    images: Tensor
    wrap: Callable[[nn.Module], nn.Module]  # a deployed network -> what ``call`` takes


def task_of(name: str, time_steps: int, batch: int, size: int) -> Task:
    """A classifier with images of noise, or a dense model with random pictures."""
    if name in NETWORKS:
        model = build(name, time_steps=time_steps).eval().requires_grad_(False)
        images = torch.randn(batch, 3, size, size)
        return Task(model, lambda network: network(images), model, images, lambda network: network)
    model, data = build_dense(name, time_steps=time_steps), pictures(name, batch, size)
    return Task(
        model,
        lambda whole: whole.test_step(data),
        deployable(model),
        prepared(model, data),
        lambda network: around(model, network, time_steps),
    )


def firing_rate(task: Task) -> float:
    """Mean share of neurons that fire in a time step, over all time steps and neurons."""
    with torch.no_grad(), SpikeRecorder(task.model, operations=False) as recorder:
        task.call(task.model)
    return mean_firing_rate(recorder.record)


def fire_at(task: Task, rate: float) -> float:
    """Lower all thresholds by one factor, with statistics to fit, until neurons fire at this rate; the rate reached."""
    neurons = [module for module in task.model.modules() if isinstance(module, SpikingNeuron)]
    thresholds = [neuron.v_threshold for neuron in neurons]
    low, high, reached = 0.0, 1.0, 0.0
    for _ in range(8):
        factor = (low + high) / 2
        for neuron, threshold in zip(neurons, thresholds, strict=True):
            neuron.v_threshold = factor * threshold
        normalise_to(task.model, lambda: task.call(task.model))
        reached = firing_rate(task)
        low, high = (factor, high) if reached > rate else (low, factor)
    return reached


def deployed(task: Task, weights: str) -> Plan:
    """What `spikevision deploy` exports, with its kernels, without the export."""
    settings = DeploySettings(weights=weights, batch=len(task.images))
    return fold_and_choose(task.network, task.images, settings)


def at_one_step(task: Task, args: argparse.Namespace, rates: dict[str, float]) -> nn.Module:
    """The deployed network at T=1 that fires as often in its step; writes its rate down."""
    one_step = task_of(args.network, 1, args.batch, args.size)
    one_step.model.load_state_dict(task.model.state_dict())
    rates["ours_t1"] = fire_at(one_step, rates["ours"])
    return one_step.wrap(deployed(one_step, args.weights).fast)


def peak_gflops() -> float:
    """Billions of operations per second of a large convolution in the layout that suits it."""
    conv = nn.Conv2d(256, 256, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(8, 256, 28, 28).contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        conv(x)
    return counter.get_total_flops() / fastest_ms(lambda: conv(x)) / 1e6


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    task = task_of(args.network, args.time_steps, args.batch, args.size)
    normalise_to(task.model, lambda: task.call(task.model))
    plan, rates = deployed(task, args.weights), {"ours": firing_rate(task)}
    makers: dict[str, Callable[[], nn.Module]] = {
        "ours_t1": lambda: at_one_step(task, args, rates),
        "trained": lambda: task.model,
        "spikingjelly": lambda: on_spikingjelly(task.model).eval(),
    }
    models = {"ours": task.wrap(plan.fast), **{name: makers[name]() for name in args.peers}}

    def runner(model: nn.Module) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                task.call(model)

        return run

    times_ms = interleaved_ms({name: runner(m) for name, m in models.items()}, args.rounds)
    before = peak_gflops()
    shares, gflops = time_by_kind(plan.fast, task.images)
    peak = max(before, peak_gflops())  # a busy machine's peak would flatter
    line = {
        "name": "inference",
        **{
            f"speed_against_{name}": ratio(times_ms, name, "ours")
            for name in args.peers
            if name != "ours_t1"
        },
        "firing_rate": {name: round(rate, 4) for name, rate in rates.items()},
        "share_of_peak": {kind: round(each / peak, 3) for kind, each in gflops.items()},
        "share_of_time": shares,
        "peak_gflops": round(peak),
        "median_ms": {name: round(sorted(ms)[len(ms) // 2], 1) for name, ms in times_ms.items()},
        "layout": plan.choices["layout"],
        "kernels": dict(Counter(plan.choices["kernels"].values())),
        **vars(args),
    }
    if "ours_t1" in args.peers:
        line["cost_of_time"] = ratio(times_ms, "ours", "ours_t1")
    publish(line)


if __name__ == "__main__":
    main()
