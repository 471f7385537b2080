"""Time and memory of a training step: ours, and the same network on SpikingJelly's neurons, with ReLU, or eager.

All contestants have the same weights and take turns in one process; ratios are medians over the rounds, of forward and
backward pass; peak memory is what PyTorch allocates during a step. Classifiers have a cross entropy; detectors and
segmentors (random boxes, masks and labels) the losses of their configs. ``eager`` has plain loops for neurons and keeps
spikes as they are; ``spikingjelly_own`` is SpikingJelly's own Spikformer, for spikformer-8-384 only. Prints one JSON
line. Needs ``pip install --no-deps 'spikingjelly>=2.0,<3' loguru h5py``.
"""

import argparse
from collections.abc import Callable

import torch
from contestants import (
    CLASSES,
    NETWORKS,
    Eager,
    SpikingJellySpikformer,
    build,
    on_spikingjelly,
    relu_twin,
)
from dense import DENSE, build_dense, dense_loss
from measure import interleaved_ms, peak_bytes, ratio
from results import publish
from torch import Tensor, nn

PEERS = ("spikingjelly", "relu", "eager", "spikingjelly_own")


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=[*NETWORKS, *DENSE])
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=["spikingjelly", "relu"])
    args = parser.parse_args()
    if "spikingjelly_own" in args.peers and args.network != "spikformer-8-384":
        parser.error("SpikingJelly's own Spikformer is a peer of spikformer-8-384 only")
    return args


def contestant(name: str, ours: nn.Module, args: argparse.Namespace) -> nn.Module:
    """A peer of our network."""
    if name == "spikingjelly_own":
        return SpikingJellySpikformer(size=args.size, time_steps=args.time_steps)
    return {"spikingjelly": on_spikingjelly, "relu": relu_twin, "eager": Eager}[name](ours)


def network_and_loss(
    args: argparse.Namespace,
) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """Our network, and the loss of any contestant on one batch."""
    if args.network in DENSE:
        ours = build_dense(args.network, time_steps=args.time_steps)
        return ours, dense_loss(args.network, batch=args.batch, size=args.size)
    images = torch.randn(args.batch, 3, args.size, args.size)
    labels = torch.arange(args.batch) % CLASSES
    ours = build(args.network, time_steps=args.time_steps)
    return ours, lambda model: torch.nn.functional.cross_entropy(model(images), labels)


def training_step(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> Callable[[], None]:
    """A call that leaves gradients in a model."""
    model.train()

    def step() -> None:
        model.zero_grad(set_to_none=True)
        loss(model).backward()

    return step


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    ours, loss = network_and_loss(args)
    models = {"ours": ours, **{name: contestant(name, ours, args) for name in args.peers}}
    steps = {name: training_step(model, loss) for name, model in models.items()}
    times_ms = interleaved_ms(steps, args.rounds)
    peaks = {}
    for name, step in steps.items():
        models[name].zero_grad(set_to_none=True)
        peaks[name] = peak_bytes(step)
        models[name].zero_grad(set_to_none=True)
    line = {
        "name": "training_step",
        **{f"time_against_{name}": ratio(times_ms, "ours", name) for name in args.peers},
        **{f"memory_against_{name}": round(peaks["ours"] / peaks[name], 3) for name in args.peers},
        "median_ms": {name: round(sorted(ms)[len(ms) // 2]) for name, ms in times_ms.items()},
        "peak_mib": {name: round(peak / 2**20) for name, peak in peaks.items()},
        **vars(args),
    }
    if "spikingjelly" in models:
        line["speed_against_spikingjelly"] = ratio(times_ms, "spikingjelly", "ours")
    publish(line)


if __name__ == "__main__":
    main()
