"""A spiking network against the same network with ReLU for neurons and one time step, trained alike.

Classification, detection or segmentation: the ordinary train job runs the same config with the same data, epochs and
seeds twice; in the twin every ``neuron`` of the model is ``dict(type='ReLU')``. Prepare the data first (``spikevision
prepare``). Takes as long as two trainings per seed. Started again after an interruption it goes on where it stood; of
runs that have finished it takes the result.

Prints one JSON line: validation figures of the last epoch, in percent.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import matplotlib

from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.pick_up import pick_up
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.tasks import TaskSpec

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend

CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
COLOURS = {"spiking": "tab:blue", "relu": "tab:orange"}


def neurons(model: dict, prefix: str = "model") -> Iterator[str]:
    """Dotted names of all neuron settings in a model's config."""
    for name, value in model.items():
        if name == "neuron":
            yield f"{prefix}.neuron"
        elif isinstance(value, dict):
            yield from neurons(value, f"{prefix}.{name}")


def twin_options(config: str) -> dict:
    """What turns a config into its ReLU twin.

    Raises:
        ValueError: The config names no neuron.
    """
    names = list(neurons(load_config(config).model))
    if not names:
        raise ValueError(f"{config} names no neuron: set `neuron` in backbone, neck and heads")
    relu = {name: {"type": "ReLU", "_delete_": True} for name in names}
    return {**relu, "model.backbone.time_steps": 1}


def train(config: str, name: str, seed: int, *, options: dict, work_dir: str) -> RunResult:
    """The finished run of one network."""
    folder = Path(work_dir) / Path(config).stem / f"{name}_seed{seed}"
    spec = RunSpec(
        config=config,
        work_dir=str(folder),
        cfg_options={**options, "randomness.seed": seed},
    )
    with contextlib.redirect_stdout(sys.stderr):  # the JSON line alone goes to stdout
        result = pick_up(spec, reuse_finished=True)
    if result.status != "finished":
        raise SystemExit("stopped; the same command goes on")
    return result


def compare(runs: dict[str, list[RunResult]], task: TaskSpec) -> dict[str, dict]:
    """Every headline of both networks, seed by seed, and the difference of their means in points."""
    percent = {name: [task.percent(run.metrics) for run in runs[name]] for name in runs}
    table = {}
    for figure in percent["spiking"][0]:
        spiking, relu = ([run[figure] for run in percent[name]] for name in ("spiking", "relu"))
        table[figure] = {
            "spiking_percent": [round(value, 2) for value in spiking],
            "relu_percent": [round(value, 2) for value in relu],
            "difference_points": round(mean(spiking) - mean(relu), 2),
        }
    return table


def curve(run: RunResult, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one logged scalar, from all sessions of a run."""
    points = {}
    for file in sorted(run.run_dir.glob("*/vis_data/scalars.json")):
        for line in map(json.loads, file.read_text().splitlines()):
            if name in line:
                points[line["step"]] = line[name]
    return list(points), list(points.values())


def save_curves(
    runs: dict[str, list[RunResult]], figures: list[str], path: str, *, to_percent: float
) -> None:
    """Training loss over iterations and every validation figure over epochs, one line per run."""
    chart, axes = plt.subplots(
        1, 1 + len(figures), figsize=(4 * (1 + len(figures)), 3.2), layout="constrained"
    )
    for axis, figure in zip(axes, ["loss", *figures], strict=True):
        for name, results in runs.items():
            for run in results:
                steps, values = curve(run, figure)
                if figure != "loss":
                    values = [value * to_percent for value in values]
                axis.plot(steps, values, color=COLOURS[name], marker=".")
        axis.set_title("training loss" if figure == "loss" else f"{figure}, validation (%)")
        axis.set_xlabel("iteration" if figure == "loss" else "epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    for name, colour in COLOURS.items():
        axes[0].plot([], [], color=colour, label=name)
    axes[0].legend()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    chart.savefig(path, dpi=80)
    plt.close(chart)


def main() -> None:
    """Train both networks for every seed and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to SEEDS-1 (default: 1)")
    parser.add_argument("--work-dir", default="work_dirs/relu-twin", help="folder of all runs")
    parser.add_argument("--curves", metavar="PNG", help="save training curves there")
    args = parser.parse_args()
    options = {"spiking": {}, "relu": twin_options(args.config)}
    runs = {
        name: [
            train(args.config, name, seed, options=options[name], work_dir=args.work_dir)
            for seed in range(args.seeds)
        ]
        for name in options
    }
    task = task_of(load_config(args.config))
    figures = compare(runs, task)
    if args.curves:
        save_curves(runs, list(figures), args.curves, to_percent=task.to_percent)
    print(json.dumps({"name": "relu_twin", "config": args.config, "figures": figures}))


if __name__ == "__main__":
    main()
