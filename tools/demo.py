"""A whole job on small real data: prepare, train, test, and show what the network does.

Run by ``make demo`` (classification), ``make demo-detection`` and ``make demo-segmentation``. Everything goes through the
ordinary jobs; only the picture at the end is made here. If it was stopped, the same command goes on.
"""

import argparse
import json
import time

import torch
from demo_pictures import save_picture
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from spikevision.datasets.preparers import prepare
from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.pick_up import pick_up
from spikevision.jobs.runtime import build_model
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.weights import load_weights
from spikevision.statistics import SpikeRecorder
from spikevision.statistics.firing_rate import mean_firing_rate

CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
SHOWN_IMAGES = {"classification": 8, "detection": 3, "segmentation": 3}


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--data", default="mnist-5k", help="set to prepare (default: mnist-5k)")
    args = parser.parse_args()
    config = load_config(args.config)
    task = task_of(config)
    start = time.monotonic()

    print(f"1/4 data: {prepare(args.data)}", flush=True)
    print(f"2/4 training: {args.config}", flush=True)
    trained = pick_up(RunSpec(config=args.config))
    if trained.status != "finished":
        raise SystemExit("stopped; the same command goes on")
    train_seconds = time.monotonic() - start
    print("3/4 test on the held-out images", flush=True)
    tested = evaluate(RunSpec(config=args.config, checkpoint=str(trained.checkpoint)))
    print("4/4 firing rates and picture", flush=True)
    init_default_scope(config.default_scope)
    model = build_model(config)
    load_weights(model, trained.checkpoint)
    loader = Runner.build_dataloader(config.test_dataloader)
    batch = some_images(loader, SHOWN_IMAGES[task.name])
    picture = trained.run_dir / "predictions.png"
    save_picture(task.name, model.eval(), batch, picture, meta=loader.dataset.metainfo)
    table = {
        **{name: f"{value:.1f} %" for name, value in task.percent(tested.metrics).items()},
        "held-out images": str(len(loader.dataset)),
        "mean firing rate": f"{test_firing_rate(model, loader):.3f} spikes per neuron and time step",
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "training": f"{train_seconds:.0f} s",
        "all": f"{time.monotonic() - start:.0f} s",
        "picture": str(picture),
        "run folder": str(trained.run_dir),
    }
    (trained.run_dir / "demo.json").write_text(json.dumps(table, indent=2) + "\n")
    print("\n" + "\n".join(f"{name:<17} {value}" for name, value in table.items()))


def some_images(loader: DataLoader, count: int) -> dict:
    """A batch of images spread over a data set, which may be sorted by class."""
    step = max(1, len(loader.dataset) // count)
    indices = range(0, len(loader.dataset), step)[:count]
    return loader.collate_fn([loader.dataset[index] for index in indices])


@torch.no_grad()
def test_firing_rate(model: nn.Module, loader: DataLoader) -> float:
    """Spikes per neuron and time step over all test images."""
    with SpikeRecorder(model, operations=False) as recorder:
        for batch in loader:
            model.test_step(batch)
    return mean_firing_rate(recorder.record)


if __name__ == "__main__":
    main()
