"""Cost of the spike statistics as a share of evaluation time; prints one JSON line.

Plain, rates-only and full evaluations take turns, and the medians of their times are compared, so that a machine
that is busy with other work slows all three alike.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from spikevision.statistics import SpikeRecorder


def classifier() -> tuple[nn.Module, Callable[[], object]]:
    """Meta-SpikeFormer 15M, T = 4, one image of 224 x 224."""
    from spikevision.testing import build_classifier

    model = build_classifier(dict(type="MetaSpikeFormer", arch="15m", time_steps=4), 1000)
    images = torch.randn(2, 3, 224, 224)
    warm_up_statistics(model, lambda: model(images))
    return model, lambda: model(images)


def warm_up_statistics(model: nn.Module, run: Callable[[], object]) -> None:
    """Set running statistics so that an untrained network fires as a trained one does."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()
        run()
    model.eval()


def measure(model: nn.Module, run: Callable[[], object], *, rounds: int) -> dict[str, float]:
    """Median seconds per evaluation, and the median over rounds of each ratio to the plain one."""
    ways = {
        "plain": nullcontext(),
        "rates": SpikeRecorder(model, operations=False),
        "all": SpikeRecorder(model),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    with torch.no_grad():
        for round_index in range(rounds + 1):
            for way, context in ways.items():
                with context:
                    begin = time.process_time()
                    run()
                    spent_s = time.process_time() - begin
                if round_index:  # the first round compiles and allocates
                    times[way].append(spent_s)
    plain = times["plain"]
    ratios = {
        f"overhead_{way}": statistics.median(
            taken / base for taken, base in zip(times[way], plain, strict=True)
        )
        - 1
        for way in ("rates", "all")
    }
    return {"plain_s": statistics.median(plain), **ratios}


MODELS = {"classifier": classifier}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(MODELS), default="classifier")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    model, run = MODELS[args.model]()
    result = measure(model, run, rounds=args.rounds)
    print(json.dumps({"benchmark": "statistics_overhead", "model": args.model, **result}))


if __name__ == "__main__":
    main()
