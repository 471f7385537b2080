"""Distillation, and T=1 before T=4, against plain training: accuracy over seeds on 1,000 real digits.

Prints one JSON line. A small network (T=4) is trained by the ordinary job in three ways, per seed: plainly; with hard
distillation into a second classifier, from a convolutional teacher that is trained first, once, on all 4,000 digits; and
with most epochs at T=1 before some at T=4, in the time of the plain training (both times are in the output). Prepare the
data first (``spikevision prepare mnist-5k``).
"""

import argparse
import contextlib
import json
import sys
import time
from statistics import mean, stdev
from typing import Any

from mmengine.config import Config

from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

CONFIG = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
TEACHER_EPOCHS = 8
NETWORK = {
    "model.backbone.arch": {"embed_dims": (8, 16, 32, 48), "num_heads": 1, "depths": (1, 1)},
    "model.head.in_channels": 48,
}
TEACHER: dict[str, Any] = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet_CIFAR", "depth": 18, "stem_channels": 16, "base_channels": 16},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 128, "topk": (1,)},
}


def run(options: dict, *, epochs: int, lr: float, seed: int) -> dict[str, Any]:
    """Final accuracy in percent, time in seconds and checkpoint of one training."""
    schedule = {
        "train_cfg.max_epochs": epochs,
        "train_cfg.val_interval": epochs,
        "default_hooks.checkpoint.interval": epochs,
        "optim_wrapper.optimizer.lr": lr,
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
    }
    begin = time.process_time()
    with contextlib.redirect_stdout(sys.stderr):  # the JSON line alone goes to stdout
        result = train(RunSpec(config=CONFIG, cfg_options={**schedule, **options}))
    if result.status != "finished":
        raise SystemExit("stopped")
    return {
        "accuracy_percent": result.metrics["accuracy/top1"],
        "cpu_s": round(time.process_time() - begin, 1),
        "checkpoint": str(result.checkpoint),
    }


def distilled(teacher: str) -> dict[str, Any]:
    """Options that turn the plain training into a distillation."""
    student = Config.fromfile(CONFIG).model.to_dict()
    student["backbone"]["arch"] = NETWORK["model.backbone.arch"]
    student["head"].update(in_channels=48, distillation_head=True)
    model = {
        "_delete_": True,
        "type": "spikevision.Distiller",
        "student": student,
        "teacher": {"config": TEACHER, "checkpoint": teacher},
        "losses": [{"type": "HardLogits", "weight": 0.5, "distillation_head": True}],
        "task_weight": 0.5,
    }
    return {"model": model}


def summary(runs: list[dict]) -> dict[str, Any]:
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
    parser.add_argument("--digits", type=int, default=1000, help="of 4,000 (default: 1000)")
    parser.add_argument("--epochs", type=int, default=8, help="of the plain training (default: 8)")
    parser.add_argument("--epochs-t1", type=int, default=12, help="at T=1 (default: 12)")
    parser.add_argument("--epochs-t4", type=int, default=4, help="at T=4 after T=1 (default: 4)")
    parser.add_argument("--lr", type=float, default=4e-3, help="default: 4e-3")
    args = parser.parse_args()
    teacher = run(
        {"model": {**TEACHER, "_delete_": True}}, epochs=TEACHER_EPOCHS, lr=args.lr, seed=0
    )
    few = {
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
        "train_dataloader.dataset.indices": list(range(0, 4000, 4000 // args.digits)),
    }
    plain, taught, warmed = [], [], []
    for seed in range(args.seeds):
        common = dict(lr=args.lr, seed=seed)
        plain.append(run({**few, **NETWORK}, epochs=args.epochs, **common))
        options = {**few, **distilled(teacher["checkpoint"])}
        taught.append(run(options, epochs=args.epochs, **common))
        first = run({**few, **NETWORK, "time_steps": 1}, epochs=args.epochs_t1, **common)
        options = {**few, **NETWORK, "init_from": first["checkpoint"]}
        second = run(options, epochs=args.epochs_t4, lr=args.lr / 2, seed=seed)
        warmed.append({**second, "cpu_s": first["cpu_s"] + second["cpu_s"]})
        at_t1 = first["accuracy_percent"]
        line = [plain[-1], taught[-1], warmed[-1], {"at_t1_percent": at_t1}]
        print(f"seed {seed}: {json.dumps(line)}", file=sys.stderr, flush=True)
    result = {
        "name": "recipes",
        **vars(args),
        "teacher_percent": teacher["accuracy_percent"],
        "plain": summary(plain),
        "hard_distillation": summary(taught),
        "t1_then_t4": summary(warmed),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
