"""From which firing rate down a convolution that skips zeros beats the dense one, layer by layer.

Every shape of convolution in a network is run dense (PyTorch, channels_last) and by our kernel on random spikes, in
turns. ``break_even`` is the rate at which both take the same time, between the rates measured: 0 where the dense one
always wins. Prints one JSON line for each layer and keeps it.
"""

import argparse
import statistics

import torch
from contestants import NETWORKS, build
from measure import interleaved_ms
from results import publish
from torch import Tensor, nn

from spikevision.deploy.kernels import EventConv2d, inputs_of

RATES = (0.02, 0.05, 0.1, 0.2, 0.3)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def layers(args: argparse.Namespace) -> dict[str, tuple[nn.Conv2d, torch.Size]]:
    """One convolution of each shape behind the first, with the shape of its input."""
    network = build(args.network, time_steps=args.time_steps).eval().requires_grad_(False)
    convs = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
    image = torch.zeros(args.batch, 3, args.size, args.size)
    seen = inputs_of(convs, lambda: network(image))
    found = {}
    for name, x in list(seen.items())[1:]:
        conv = convs[name]
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        channels = f"{conv.in_channels} to {conv.out_channels} channels"
        found[f"{kernel}x{kernel}, stride {stride}, {channels}, {x.shape[2]}x{x.shape[3]}"] = (
            conv,
            x.shape,
        )
    return found


def times_ms(conv: nn.Conv2d, shape: torch.Size, rounds: int) -> dict[str, float]:
    """Median milliseconds: dense, and skipping zeros at each rate."""
    conv = conv.to(memory_format=torch.channels_last)
    skipping = EventConv2d(conv)
    spikes = {rate: some_spikes(shape, rate) for rate in RATES}
    runs = {"dense": lambda: conv(spikes[RATES[-1]])}
    runs |= {str(rate): lambda x=x: skipping(x) for rate, x in spikes.items()}
    with torch.no_grad():
        measured = interleaved_ms(runs, rounds)
    return {name: round(statistics.median(ms), 3) for name, ms in measured.items()}


def some_spikes(shape: torch.Size, rate: float) -> Tensor:
    """Independent spikes in channels_last."""
    return (torch.rand(shape) < rate).float().contiguous(memory_format=torch.channels_last)


def break_even(ms: dict[str, float]) -> float:
    """Rate at which both take the same time; the largest one measured if skipping wins even there."""
    below = 0.0
    for rate in RATES:
        excess = ms[str(rate)] - ms["dense"]
        if excess > 0:
            before = ms["dense"] - ms[str(below)] if below else 0.0
            share = before / (before + excess) if below else 0.0
            return round(below + share * (rate - below), 3)
        below = rate
    return RATES[-1]


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    for layer, (conv, shape) in layers(args).items():
        ms = times_ms(conv, shape, args.rounds)
        line = {"name": "event_conv", "layer": layer, "break_even": break_even(ms), "median_ms": ms}
        publish({**line, **vars(args)})


if __name__ == "__main__":
    main()
