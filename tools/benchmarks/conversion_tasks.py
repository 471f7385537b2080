"""Accuracy of a converted detector or segmentor on its own test set: the ANN, and presets at chosen steps.

Builds a config's model, loads a checkpoint, converts it with some of its training images and runs its own evaluator on
its own test set: for the ANN, for the operators without spikes and for every ``PRESET:T``. Several T of one preset come
from one run. Prints one JSON line.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint

from spikevision.conversion import STAConfig, convert
from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model


def loaders(config, images: int) -> tuple[list, list]:
    """Batches of training images as they are tested, and the batches of the test set."""
    given = config.train_dataloader.dataset
    training = given.dataset if "dataset" in given else given
    training = {**training, "pipeline": config.test_dataloader.dataset.pipeline}
    calibration = {**config.test_dataloader, "dataset": training, "batch_size": 1}
    both = []
    for loader, number in ((calibration, images), (config.test_dataloader, None)):
        built = Runner.build_dataloader({**loader, "num_workers": 0, "persistent_workers": False})
        both.append(list(itertools.islice(built, number)))
        meta = built.dataset.metainfo
    return *both, meta


def evaluate(config, meta, answers: list) -> dict:
    """The config's own metrics of predictions, given as pairs of a batch and its samples."""
    evaluator = Runner.build_evaluator(Runner, config.test_evaluator)
    evaluator.dataset_meta = meta
    for batch, samples in answers:
        evaluator.process(data_samples=samples, data_batch=batch)
    found = evaluator.evaluate(sum(len(samples) for _, samples in answers))
    return {k: float(v) for k, v in found.items() if k.endswith(("mAP_50", "mIoU"))}


def measure(model, config, args) -> dict:
    """Figures of the ANN, and of every preset at every step."""
    calibration, test, meta = loaders(config, args.images)
    with torch.no_grad():
        found = {"ann": evaluate(config, meta, [(b, model.test_step(b)) for b in test])}
    for preset, steps in args.steps.items():
        snn = convert(
            model, calibration, STAConfig(preset=preset, time_steps=max(steps), **args.set)
        )
        curves = [(batch, snn.run(batch, max(steps), at=steps)) for batch in test]
        for t in steps:
            found[f"{preset}:{t}"] = evaluate(config, meta, [(b, c[t]) for b, c in curves])
            print(preset, t, found[f"{preset}:{t}"], file=sys.stderr, flush=True)
        if args.without_spikes:
            answers = [(batch, snn.without_spikes(**batch)) for batch in test]
            found[f"{preset} without spikes"] = evaluate(config, meta, answers)
    return found


def by_preset(wanted: list[str]) -> dict[str, list[int]]:
    """``["sta:16", "sta:32"]`` as ``{"sta": [16, 32]}``."""
    steps: dict[str, list[int]] = {}
    for text in wanted:
        preset, _, t = text.partition(":")
        steps.setdefault(preset, []).append(int(t))
    return steps


def main() -> None:
    """Convert and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", type=int, default=18, help="calibration images (default: 18)")
    default = ["sta:32", "ecmt:4"]
    parser.add_argument("--presets", nargs="+", default=default, metavar="PRESET:T", dest="steps")
    parser.add_argument("--set", type=json.loads, default={}, help="further fields, as JSON")
    parser.add_argument("--without-spikes", action="store_true", help="the operators alone as well")
    args = parser.parse_args()
    args.steps = by_preset(args.steps)
    config = load_config(args.config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = build_model(config)
        load_checkpoint(model, str(args.checkpoint), map_location="cpu")
        model.eval()
        found = measure(model, config, args)
    line = {
        "name": "conversion_tasks",
        "config": args.config.stem,
        "images": args.images,
        "set": args.set,
    }
    print(json.dumps({**line, "results": found}))


if __name__ == "__main__":
    main()
