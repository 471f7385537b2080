"""Memory that one training step of a detector or another model takes, by number of time steps.

Every allocation and release of a step (forward, loss, backward) on the CPU is recorded; the peak is how far it rises
above what was there before the step: activations kept for the backward pass, gradients, and what is needed in between.
Model and optimizer state are not in it. The first step, which compiles, is not counted. Prepare the data first
(``spikevision prepare``). Prints one JSON line.
"""

import argparse
import contextlib
import copy
import json
import sys

import torch
from measure import peak_bytes
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model

CONFIG = "configs/quick/mask-rcnn_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py"


def step(model: nn.Module, batch: dict) -> None:
    """Forward, loss and backward of one batch."""
    torch.manual_seed(0)  # samplers of regions draw the same ones
    prepared = model.data_preprocessor(copy.deepcopy(batch), training=True)
    loss, _ = model.parse_losses(model(**prepared, mode="loss"))
    loss.backward()


def peak_of_step(model: nn.Module, batch: dict) -> int:
    """How far allocated memory rises during a step that is not the first."""
    step(model, batch)
    model.zero_grad(set_to_none=True)
    return peak_bytes(lambda: step(model, batch))


def measure(path: str, time_steps: list[int]) -> tuple[int, dict[int, float]]:
    """Images per batch, and the peak in MB for each number of time steps."""
    config = load_config(path)
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    init_default_scope(config.default_scope)
    batch = next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))
    peak_mb = {}
    for count in time_steps:
        config.model.backbone.time_steps = count
        torch.manual_seed(0)
        model = build_model(config).train()
        model.init_weights()
        peak_mb[count] = round(peak_of_step(model, batch) / 1e6, 1)
    return len(batch["inputs"]), peak_mb


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--time-steps", type=int, nargs="+", default=[1, 4], metavar="T")
    args = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):  # the JSON line alone goes to stdout
        batch_size, peak_mb = measure(args.config, args.time_steps)
    first, last = args.time_steps[0], args.time_steps[-1]
    line = {
        "name": "training_memory",
        "config": args.config,
        "batch": batch_size,
        "peak_mb": peak_mb,
        "ratio": round(peak_mb[last] / peak_mb[first], 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
