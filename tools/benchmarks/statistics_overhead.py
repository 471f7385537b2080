"""Cost of the spike statistics as a share of evaluation time; prints one JSON line.

Plain evaluation, firing rates alone and all counts take turns on the same batch, plain before and after each round.
Compared is processor time, and of each turn the ratio to the mean of the plain evaluations around it, so that other work
on the machine disturbs little. ``spread_...`` is half the distance between the quartiles of these ratios.
``counting_...`` is the time spent in counting as a share of the rest of the same call: it leaves out the calling of
hooks, and does not mind a busy machine.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from spikevision.statistics import SpikeRecorder

ROOT = Path(__file__).parents[2]
DETECTOR = ROOT / "configs/detection/mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco.py"
DETECTOR_SIDE = 320
PROPOSALS = 100

Run = Callable[[], object]


def classifier(batch_size: int) -> tuple[nn.Module, Run]:
    """Meta-SpikeFormer 15M, T = 4, images of 224 x 224."""
    from spikevision.testing import build_classifier

    model = build_classifier(dict(type="MetaSpikeFormer", arch="15m", time_steps=4), 1000)
    images = torch.randn(batch_size, 3, 224, 224)
    return model, lambda: model(images)


def detector(batch_size: int) -> tuple[nn.Module, Run]:
    """Mask R-CNN on Meta-SpikeFormer 15M, T = 4, images of 320 x 320, 100 regions each."""
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    config = Config.fromfile(DETECTOR)
    config.model.test_cfg.rpn.max_per_img = PROPOSALS
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    model.init_weights()
    shape = (DETECTOR_SIDE, DETECTOR_SIDE)
    facts = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
    batch = {
        "inputs": [
            torch.randint(0, 256, (3, *shape), dtype=torch.uint8) for _ in range(batch_size)
        ],
        "data_samples": [DetDataSample(metainfo=facts) for _ in range(batch_size)],
    }
    return model, lambda: model.test_step(batch)


MODELS_OF = {"classifier": classifier, "detector": detector}


def wake(model: nn.Module, run: Run) -> None:
    """Give the normalisations the statistics of the batch, so that an untrained network fires."""
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        run()
    model.eval()


def measure(model: nn.Module, run: Run, *, rounds: int) -> dict[str, float]:
    """Median processor seconds of a plain evaluation, and median overhead of the other two."""
    ways = {"rates": TimedRecorder(model, operations=False), "all": TimedRecorder(model)}
    counting: dict[str, list[float]] = {way: [] for way in ways}
    plains: list[float] = []
    overheads: dict[str, list[float]] = {way: [] for way in ways}
    with torch.no_grad():
        for recorder in ways.values():  # compiles, allocates and finds out what is real
            spent_s(run, recorder)
        before = spent_s(run, nullcontext())
        for round_index in range(rounds):
            # turn about, so that neither always follows a plain one
            order = list(ways) if round_index % 2 else list(reversed(ways))
            taken = {}
            for way in order:
                ways[way].counting_s = 0.0
                taken[way] = spent_s(run, ways[way])
                counting[way].append(ways[way].counting_s / (taken[way] - ways[way].counting_s))
            after = spent_s(run, nullcontext())
            plains.append((before + after) / 2)
            for way in ways:
                overheads[way].append(taken[way] / plains[-1] - 1)
            before = after
    result = {"plain_s": statistics.median(plains)}
    for way, values in overheads.items():
        low, middle, high = statistics.quantiles(values, n=4)
        result |= {f"overhead_{way}": middle, f"spread_{way}": (high - low) / 2}
        result[f"counting_{way}"] = statistics.median(counting[way])
    return result


class TimedRecorder(SpikeRecorder):
    """Adds up the processor time that it spends on counting."""

    counting_s = 0.0

    def _on_output(self, module: nn.Module, name: str, see: Callable[..., None]) -> None:
        def timed(*args: object) -> None:
            begin = time.process_time()
            see(*args)
            self.counting_s += time.process_time() - begin

        super()._on_output(module, name, timed)


def spent_s(run: Run, context: AbstractContextManager) -> float:
    """Processor seconds of one call."""
    with context:
        begin = time.process_time()
        run()
        return time.process_time() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(MODELS_OF), default="classifier")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    model, run = MODELS_OF[args.model](args.batch_size)
    wake(model, run)
    result = {
        name: round(value, 4) for name, value in measure(model, run, rounds=args.rounds).items()
    }
    facts = {"benchmark": "statistics_overhead", "model": args.model, "batch_size": args.batch_size}
    print(json.dumps({**facts, "threads": torch.get_num_threads(), **result}))


if __name__ == "__main__":
    main()
