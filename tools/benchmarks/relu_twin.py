"""Accuracy of a spiking network against the same network with ReLU for neurons, trained alike.

Prints one JSON line. Both are trained by the ordinary job with the same config, data, epochs and seeds; the twin has
``neuron=dict(type='ReLU')`` and one time step. Prepare the data first (``spikevision prepare mnist-5k``). Takes as
long as two trainings per seed.
"""

import argparse
import contextlib
import json
import sys
from statistics import mean

from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
TWIN = {
    "model.backbone.neuron": {"type": "ReLU", "_delete_": True},
    "model.backbone.time_steps": 1,
    "model.head.neuron": {"type": "ReLU", "_delete_": True},
}


def accuracy(config: str, seed: int, options: dict) -> float:
    """Final validation accuracy in percent."""
    with contextlib.redirect_stdout(sys.stderr):  # the JSON line alone goes to stdout
        result = train(RunSpec(config=config, cfg_options={**options, "randomness.seed": seed}))
    if result.status != "finished":
        raise SystemExit("stopped")
    return result.metrics["accuracy/top1"]


def main() -> None:
    """Train both networks for every seed and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to SEEDS-1 (default: 1)")
    args = parser.parse_args()
    spiking = [accuracy(args.config, seed, {}) for seed in range(args.seeds)]
    relu = [accuracy(args.config, seed, TWIN) for seed in range(args.seeds)]
    line = {
        "name": "relu_twin_accuracy",
        "config": args.config,
        "spiking_percent": spiking,
        "relu_percent": relu,
        "difference_points": round(mean(spiking) - mean(relu), 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
