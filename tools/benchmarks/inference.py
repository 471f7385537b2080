"""Time of inference: deployed, as trained, and the same network on SpikingJelly's neurons.

All contestants have the same weights, take turns in one process, and see the same images; ratios are medians over the
rounds. Statistics are first set from noise, so that the random network fires. ``--weights int8`` deploys with eight-bit weights.
Beside them stand the same deployed network at T=1 (``cost_of_time``) and the share of the convolution peak of this
processor, measured with a large 3x3 convolution in the same run, that the deployed convolutions reach
(``share_of_peak``). Prints one JSON line and keeps it. Needs ``pip install --no-deps 'spikingjelly>=2.0,<3' loguru``.
"""

import argparse

import torch
from contestants import NETWORKS, build, on_spikingjelly
from measure import interleaved_ms, ratio
from results import publish
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from spikevision.deploy import DeploySettings, fold_and_choose
from spikevision.deploy.kernels import fastest_ms
from spikevision.jobs.sample_batches import normalise_to


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="side of the images")
    parser.add_argument("--weights", choices=("float32", "int8"), default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def deployed(network: nn.Module, images: Tensor, weights: str) -> tuple[nn.Module, dict]:
    """What `spikevision deploy` exports, with its kernels, without the export; and what was chosen."""
    plan = fold_and_choose(network, images, DeploySettings(weights=weights, batch=len(images)))
    return plan.fast, plan.choices


def peak_gflops() -> float:
    """Billions of operations per second of a large convolution in the layout that suits it."""
    conv = nn.Conv2d(256, 256, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(8, 256, 28, 28).contiguous(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        conv(x)
    return counter.get_total_flops() / fastest_ms(lambda: conv(x)) / 1e6


def convolution_share(network: nn.Module, images: Tensor) -> tuple[float, float]:
    """Billions of operations per second within convolutions, and their share of the time of a call."""
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            network(images)
        with profile(activities=[ProfilerActivity.CPU]) as recorded:
            network(images)
    events = recorded.key_averages()
    whole_us = sum(event.self_cpu_time_total for event in events)
    conv_us = sum(e.self_cpu_time_total for e in events if "mkldnn_convolution" in e.key)
    return counter.get_total_flops() / max(conv_us, 1) / 1e3, conv_us / whole_us


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    trained = build(args.network, time_steps=args.time_steps).eval().requires_grad_(False)
    images = torch.randn(args.batch, 3, args.size, args.size)
    normalise_to(trained, lambda: trained(torch.randn(2, 3, args.size, args.size)))
    one_step = build(args.network, time_steps=1).eval().requires_grad_(False)
    one_step.load_state_dict(trained.state_dict())
    fast, choices = deployed(trained, images, args.weights)
    fast_one, _ = deployed(one_step, images, args.weights)
    models = {
        "ours": fast,
        "ours_t1": fast_one,
        "trained": trained,
        "spikingjelly": on_spikingjelly(trained).eval(),
    }

    def runner(model: nn.Module):
        def run() -> None:
            with torch.no_grad():
                model(images)

        return run

    times_ms = interleaved_ms({name: runner(m) for name, m in models.items()}, args.rounds)
    gflops, share = convolution_share(fast, images)
    peak = peak_gflops()
    line = {
        "name": "inference",
        "speed_against_spikingjelly": ratio(times_ms, "spikingjelly", "ours"),
        "speed_against_trained": ratio(times_ms, "trained", "ours"),
        "cost_of_time": ratio(times_ms, "ours", "ours_t1"),
        "share_of_peak": round(gflops / peak, 3) if args.weights == "float32" else None,
        "share_of_time_in_convolutions": round(share, 3) if args.weights == "float32" else None,
        "peak_gflops": round(peak),
        "median_ms": {name: round(sorted(ms)[len(ms) // 2], 1) for name, ms in times_ms.items()},
        "layout": choices["layout"],
        **vars(args),
    }
    publish(line)


if __name__ == "__main__":
    main()
