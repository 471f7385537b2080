"""What time steps cost in RoI extraction: T=4 against T=1 with the same channels folded.

Prints one JSON line. Both pool the same numbers in the same process, in turn, round after round; the ratio is of medians.
``per_step`` is mmdet's extractor called once per time step, as the published code does.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import spikevision  # noqa: F401  (answers mmcv's operators)

STRIDES = (4, 8, 16, 16)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-steps", type=int, default=4, help="T (default: 4)")
    parser.add_argument("--channels", type=int, default=256, help="C (default: 256)")
    parser.add_argument("--images", type=int, default=1, help="N (default: 1)")
    parser.add_argument("--side", type=int, default=320, help="pixels (default: 320)")
    parser.add_argument("--regions", type=int, default=128, help="per image (default: 128)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds (default: 7)")
    parser.add_argument("--backward", action="store_true", help="time the backward pass as well")
    return parser.parse_args()


def random_regions(images: int, regions: int, side: int) -> Tensor:
    """``[R, 5]`` regions of 8 pixels to the whole image, sizes spread evenly over the octaves."""
    size = 8 * (side / 8) ** torch.rand(images * regions, 1)
    corner = torch.rand(images * regions, 2) * (side - size)
    index = torch.arange(images).repeat_interleave(regions)[:, None]
    return torch.cat((index, corner, corner + size), dim=1)


def extractor(kind: str, channels: int) -> torch.nn.Module:
    """A RoI extractor for 7x7 bins."""
    from mmdet.registry import MODELS

    layer = dict(type="RoIAlign", output_size=7, sampling_ratio=0)
    config = dict(roi_layer=layer, out_channels=channels, featmap_strides=list(STRIDES))
    return MODELS.build(dict(type=kind, **config))


def seconds(pool: Callable[[], Tensor], maps: Sequence[Tensor], backward: bool) -> float:
    """Wall time of one extraction."""
    start = time.perf_counter()
    pooled = pool()
    if backward:
        torch.autograd.grad(pooled.sum(), maps)
    return time.perf_counter() - start


def main() -> None:
    """Time the contestants in turn and print their medians."""
    arguments = parse_arguments()
    torch.manual_seed(0)
    t, n, c, side = (arguments.time_steps, arguments.images, arguments.channels, arguments.side)
    rois = random_regions(n, arguments.regions, side)
    sizes = [side // stride for stride in STRIDES]
    grad = arguments.backward
    maps = [torch.randn(t, n, c, s, s, requires_grad=grad) for s in sizes]
    folded = [torch.randn(1, n, t * c, s, s, requires_grad=grad) for s in sizes]
    spiking = extractor("spikevision.SpikingRoIExtractor", c)
    wide = extractor("spikevision.SpikingRoIExtractor", t * c)
    stock = extractor("SingleRoIExtractor", c)
    contestants = {
        "folded": (lambda: wide(folded, rois), folded),
        "time_steps": (lambda: spiking(maps, rois), maps),
        "per_step": (lambda: torch.stack([stock(x, rois) for x in zip(*maps, strict=True)]), maps),
    }
    times = {name: [] for name in contestants}
    for _ in range(arguments.rounds + 1):  # the first round warms up
        for name, (pool, inputs) in contestants.items():
            times[name].append(seconds(pool, inputs, grad))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    result = {
        "benchmark": "roi_extraction",
        **vars(arguments),
        "threads": torch.get_num_threads(),
        "median_ms": {name: round(1e3 * value, 2) for name, value in medians.items()},
        "ratio": round(medians["time_steps"] / medians["folded"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
