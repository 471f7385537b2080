"""Time and memory of a training step: ours, the same network on SpikingJelly's neurons, and with ReLU.

All contestants have the same weights and take turns in one process; ratios are medians over the rounds, of forward and
backward with a cross entropy; peak memory is what PyTorch allocates during a step. Prints one JSON line. Needs
``pip install --no-deps 'spikingjelly>=2.0,<3' loguru``.
"""

import argparse
from collections.abc import Callable

import torch
from contestants import CLASSES, NETWORKS, build, on_spikingjelly, relu_twin
from measure import interleaved_ms, peak_bytes, ratio
from results import publish
from torch import Tensor, nn


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def training_step(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """A call that leaves gradients in a model."""
    model.train()

    def step() -> None:
        model.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(images), labels).backward()

    return step


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    ours = build(args.network, time_steps=args.time_steps)
    models = {"ours": ours, "spikingjelly": on_spikingjelly(ours), "relu": relu_twin(ours)}
    images = torch.randn(args.batch, 3, args.size, args.size)
    labels = torch.arange(args.batch) % CLASSES
    steps = {name: training_step(model, images, labels) for name, model in models.items()}
    times_ms = interleaved_ms(steps, args.rounds)
    peaks = {}
    for name, step in steps.items():
        models[name].zero_grad(set_to_none=True)
        peaks[name] = peak_bytes(step)
        models[name].zero_grad(set_to_none=True)
    line = {
        "name": "training_step",
        "speed_against_spikingjelly": ratio(times_ms, "spikingjelly", "ours"),
        "time_against_relu": ratio(times_ms, "ours", "relu"),
        "memory_against_spikingjelly": round(peaks["ours"] / peaks["spikingjelly"], 3),
        "memory_against_relu": round(peaks["ours"] / peaks["relu"], 3),
        "median_ms": {name: round(sorted(ms)[len(ms) // 2]) for name, ms in times_ms.items()},
        "peak_mib": {name: round(peak / 2**20) for name, peak in peaks.items()},
        **vars(args),
    }
    publish(line)


if __name__ == "__main__":
    main()
