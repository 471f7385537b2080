"""Distillation, and T=1 before T=4, against plain training: accuracy over seeds on 250 real digits.

Prints one JSON line. A small Spikformer (T=4, digits of 16 x 16 pixels) is trained by the ordinary job in four ways, per
seed: plainly; with hard distillation into a second classifier, from a convolutional teacher that is trained first, once, on
all 4,000 digits; at T=1 before T=4, with as many time steps times images as the plain training; and so with the teacher at
T=4, which is the published recipe. Processor time of each
is in the output. Prepare the data first (``spikevision prepare mnist-5k``). Each finished training is noted in the work
folder and not done again, so the benchmark goes on where it was stopped, and a second call only prints.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

WORK = Path("work_dirs/recipes")
CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
BATCH_SIZE = 25
LEARNING_RATE = 4e-3
EPOCHS, EPOCHS_T1, EPOCHS_T4 = 10, 12, 7  # 10 x 4 = 12 x 1 + 7 x 4
TEACHER_EPOCHS = 3
NEURON = {"type": "LIF", "v_threshold": 0.5, "surrogate": "atan"}  # as in the quick config
WAYS = ("plain", "hard_distillation", "t1_then_t4", "t1_then_t4_distilled")
STUDENT: dict[str, Any] = {
    "type": "ImageClassifier",
    "backbone": {
        "type": "spikevision.Spikformer",
        "variant": "cifar",
        "arch": {"embed_dims": 64, "depth": 1, "num_heads": 4},
        "time_steps": 4,
        "neuron": NEURON,
    },
    "head": {
        "type": "spikevision.SpikingClsHead",
        "num_classes": 10,
        "in_channels": 64,
        "spiking": False,
    },
}
TEACHER: dict[str, Any] = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet_CIFAR", "depth": 18, "stem_channels": 8, "base_channels": 8},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 64, "topk": (1,)},
}


def pipeline(crop: str) -> list[dict[str, Any]]:
    """Digits of 16 x 16 pixels, in training shifted by up to 2 of 32."""
    return [
        {"type": "LoadImageFromFile"},
        {"type": "Pad", "size": (36, 36), "pad_val": 0},
        {"type": crop, "crop_size": 32},
        {"type": "Resize", "scale": 16},
        {"type": "PackInputs"},
    ]


def run(
    model: dict, *, name: str, epochs: int, seed: int, digits: int, **fields: Any
) -> dict[str, Any]:
    """Final accuracy in percent, processor seconds and checkpoint of one training, done or found in ``WORK``."""
    note = WORK / f"{name}-{digits}-{seed}" / "result.json"
    if note.is_file():
        return json.loads(note.read_text())
    options: dict[str, Any] = {
        "model": {**model, "_delete_": True},
        "train_cfg.max_epochs": epochs,
        "train_cfg.val_interval": epochs,
        "default_hooks.checkpoint.interval": epochs,
        "optim_wrapper.optimizer.lr": LEARNING_RATE,
        "param_scheduler": [
            dict(type="LinearLR", start_factor=0.01, end=1, convert_to_iter_based=True),
            dict(
                type="CosineAnnealingLR",
                T_max=epochs - 1,
                begin=1,
                end=epochs,
                convert_to_iter_based=True,
            ),
        ],
        "randomness.seed": seed,
        "train_dataloader.batch_size": BATCH_SIZE,
        "train_dataloader.dataset.indices": list(range(0, 4000, 4000 // digits)),
        "train_dataloader.dataset.pipeline": pipeline("RandomCrop"),
        **fields,
    }
    for loader in ("val_dataloader", "test_dataloader"):
        options[f"{loader}.dataset.pipeline"] = pipeline("CenterCrop")
    for loader in ("train_dataloader", "val_dataloader"):  # all work in one process, to be timed
        options |= {f"{loader}.num_workers": 0, f"{loader}.persistent_workers": False}
    begin = time.process_time()
    with contextlib.redirect_stdout(sys.stderr):  # the JSON line alone goes to stdout
        result = train(RunSpec(config=CONFIG, work_dir=str(note.parent), cfg_options=options))
    if result.status != "finished":
        raise SystemExit("stopped")
    found = {
        "accuracy_percent": result.metrics["accuracy/top1"],
        "cpu_s": round(time.process_time() - begin, 1),
        "checkpoint": str(result.checkpoint),
    }
    note.write_text(json.dumps(found))
    return found


def distilled(teacher: str) -> dict[str, Any]:
    """The student with a second classifier, and its teacher; both losses count half, as published."""
    return {
        "type": "spikevision.Distiller",
        "student": {**STUDENT, "head": {**STUDENT["head"], "distillation_head": True}},
        "teacher": {"config": TEACHER, "checkpoint": teacher},
        "losses": [{"type": "HardLogits", "weight": 0.5, "distillation_head": True}],
        "task_weight": 0.5,
    }


def one_seed(teacher: str, ways: list[str], *, seed: int, digits: int) -> dict[str, dict[str, Any]]:
    """Each way with one seed."""
    common = {"seed": seed, "digits": digits}
    found = {}
    if "plain" in ways:
        found["plain"] = run(STUDENT, name="plain", epochs=EPOCHS, **common)
    if "hard_distillation" in ways:
        model = distilled(teacher)
        found["hard_distillation"] = run(model, name="distilled", epochs=EPOCHS, **common)
    for way, model in (("t1_then_t4", STUDENT), ("t1_then_t4_distilled", distilled(teacher))):
        if way in ways:
            first = run(STUDENT, name="t1", epochs=EPOCHS_T1, time_steps=1, **common)
            name, start = way.removeprefix("t1_then_"), {"init_from": first["checkpoint"]}
            second = run(model, name=name, epochs=EPOCHS_T4, **start, **common)
            found[way] = {**second, "cpu_s": round(first["cpu_s"] + second["cpu_s"], 1)}
    return found


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All accuracies, their mean and their standard deviation."""
    found = [each["accuracy_percent"] for each in runs]
    return {
        "accuracies_percent": [round(value, 2) for value in found],
        "mean_percent": round(mean(found), 2),
        "deviation_points": round(stdev(found), 2) if len(found) > 1 else None,
        "mean_cpu_s": round(mean(each["cpu_s"] for each in runs), 1),
    }


def main() -> None:
    """Train the teacher, then all ways for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to SEEDS-1 (default: 5)")
    parser.add_argument("--digits", type=int, default=250, help="of 4,000 (default: 250)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="default: all")
    args = parser.parse_args()
    teacher = run(TEACHER, name="teacher", epochs=TEACHER_EPOCHS, seed=0, digits=4000)
    runs = []
    for seed in range(args.seeds):
        runs.append(one_seed(teacher["checkpoint"], args.ways, seed=seed, digits=args.digits))
        found = {way: each["accuracy_percent"] for way, each in runs[-1].items()}
        print(f"seed {seed}: {json.dumps(found)}", file=sys.stderr, flush=True)
    ways = {way: summary([each[way] for each in runs]) for way in runs[0]}
    facts = {"name": "recipes", "seeds": args.seeds, "digits": args.digits}
    print(json.dumps({**facts, "teacher_percent": teacher["accuracy_percent"], **ways}))


if __name__ == "__main__":
    main()
