"""The main job on real digits: prepare the data, train, test, and show what the network and its neurons did.

Run by ``make demo``. Everything goes through the ordinary jobs; only the picture at the end is made here.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from spikevision.datasets.preparers import prepare
from spikevision.jobs.config import load_config
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train
from spikevision.jobs.weights import load_weights
from spikevision.neurons import SpikingNeuron
from spikevision.registry import MODELS
from spikevision.statistics import SpikeRecorder
from spikevision.statistics.firing_rate import mean_firing_rate

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend

CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
SHOWN_IMAGES = 8


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--data", default="mnist-5k", help="set to prepare (default: mnist-5k)")
    args = parser.parse_args()
    start = time.monotonic()

    print(f"1/4 data: {prepare(args.data)}", flush=True)
    print(f"2/4 training: {args.config}", flush=True)
    trained = train(RunSpec(config=args.config))
    if trained.status != "finished":
        raise SystemExit(f"stopped; go on with: spikevision train {args.config} --resume")
    train_seconds = time.monotonic() - start
    print("3/4 test on the held-out images", flush=True)
    tested = evaluate(RunSpec(config=args.config, checkpoint=str(trained.checkpoint)))
    print("4/4 firing rates and picture", flush=True)
    config = load_config(args.config)
    init_default_scope(config.default_scope)
    model = MODELS.build({**config.model, "data_preprocessor": config.data_preprocessor}).eval()
    load_weights(model, trained.checkpoint)
    loader = Runner.build_dataloader(config.test_dataloader)
    step = len(loader.dataset) // SHOWN_IMAGES  # spread over the set, which is sorted by class
    shown = loader.collate_fn([loader.dataset[index * step] for index in range(SHOWN_IMAGES)])
    picture = save_picture(model, shown, trained.run_dir / "predictions.png")
    table = {
        "test accuracy": f"{tested.metrics['accuracy/top1']:.1f} % of {len(loader.dataset)} images",
        "mean firing rate": f"{test_firing_rate(model, loader):.3f} spikes per neuron and time step",
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "training": f"{train_seconds:.0f} s",
        "all": f"{time.monotonic() - start:.0f} s",
        "picture": str(picture),
        "run folder": str(trained.run_dir),
    }
    (trained.run_dir / "demo.json").write_text(json.dumps(table, indent=2) + "\n")
    print("\n" + "\n".join(f"{name:<17} {value}" for name, value in table.items()))


@torch.no_grad()
def test_firing_rate(model: nn.Module, loader: torch.utils.data.DataLoader) -> float:
    """Spikes per neuron and time step over all test images."""
    with SpikeRecorder(model, operations=False) as recorder:
        for batch in loader:
            model.test_step(batch)
    return mean_firing_rate(recorder.record)


@contextmanager
def recorded_spikes(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Spikes ``[T, N, ...]`` of every neuron of the calls made inside, by name, in order of firing."""
    spikes: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, args, output, name=name: spikes.update({name: output})
        )
        for name, module in model.named_modules()
        if isinstance(module, SpikingNeuron)
    ]
    yield spikes
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def save_picture(model: nn.Module, batch: dict, path: Path) -> Path:
    """Some images with their predictions, the spikes of the first layer, and the rate of every layer over time."""
    count = len(batch["inputs"])
    with recorded_spikes(model) as spikes:
        results = model.test_step(batch)
    maps = next(iter(spikes.values())).sum(2)  # [T, N, H, W]: spikes of all channels
    rates = torch.stack([spike.flatten(2).mean(2) for spike in spikes.values()])  # [layer, T, N]
    time_steps = len(maps)
    figure, axes = plt.subplots(
        count,
        time_steps + 2,
        figsize=(1.5 * (time_steps + 3), 1.6 * count),
        layout="constrained",
        width_ratios=[1] * (time_steps + 1) + [2],
    )
    for row, (axis, image, result) in enumerate(zip(axes, batch["inputs"], results, strict=True)):
        right = int(result.pred_label) == int(result.gt_label)
        axis[0].imshow(image.permute(1, 2, 0).numpy())
        axis[0].set_ylabel(
            f"{int(result.pred_label)} ({float(result.pred_score.max()):.0%})",
            color="green" if right else "red",
            fontsize=13,
        )
        for t in range(time_steps):
            axis[1 + t].imshow(maps[t, row], cmap="magma", vmin=0, vmax=maps.max())
        axis[-1].imshow(rates[:, :, row].T, cmap="magma", vmin=0, vmax=rates.max(), aspect="auto")
        axis[-1].set_ylabel("time step", fontsize=8)
        axis[-1].set_yticks(range(time_steps), range(1, time_steps + 1), fontsize=8)
        for plain in axis[:-1]:
            plain.set_xticks([])
            plain.set_yticks([])
        axis[-1].set_xticks([])
    axes[0][0].set_title("prediction")
    for t in range(time_steps):
        axes[0][1 + t].set_title(f"spikes, t = {t + 1}", fontsize=10)
    axes[0][-1].set_title(f"firing rate of each layer (0 to {rates.max():.2f})", fontsize=10)
    axes[-1][-1].set_xlabel("layer, input to output", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


if __name__ == "__main__":
    main()
