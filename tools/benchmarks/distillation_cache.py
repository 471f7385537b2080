"""What a cached teacher costs: an epoch of distillation with all answers on disk against an epoch without a teacher.

Prints one JSON line. The student is the Meta-SpikeFormer of the quick digits config at T=4, the teacher a ResNet-18 of
full width for 32 x 32 images with random weights; inputs do not change between epochs. Plain, distilling and cached batches
take turns, and compared is processor time of each turn with the plain batch next to it, so that other work on the machine
disturbs little. Files are read again for every batch.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS, init_default_scope

from spikevision.jobs.config import load_config

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
TEACHER: dict[str, Any] = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet_CIFAR", "depth": 18},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": 512},
}


def models(folder: Path) -> dict[str, Any]:
    """The student alone, with a teacher, and with a teacher whose answers are kept."""
    student = load_config(CONFIG).model.to_dict()
    preprocessor = {"mean": [33.3] * 3, "std": [78.6] * 3, "num_classes": 10}
    student["data_preprocessor"] = preprocessor
    teacher = {**TEACHER, "data_preprocessor": preprocessor}
    torch.save(MODELS.build(teacher).state_dict(), folder / "teacher.pth")
    distiller = {
        "type": "spikevision.Distiller",
        "student": student,
        "teacher": {"config": teacher, "checkpoint": str(folder / "teacher.pth")},
        "losses": [{"type": "SoftLogits"}],
    }
    configs = {
        "plain": student,
        "distilled": distiller,
        "cached": {**distiller, "cache_dir": str(folder / "cache")},
    }
    return {name: MODELS.build(config).train() for name, config in configs.items()}


def train_step(model: Any, batch: dict) -> float:
    """Processor seconds of one step, data preprocessing included."""
    begin = time.process_time()
    total, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode="loss"))
    total.backward()
    model.zero_grad()
    return time.process_time() - begin


def measure(batches: int, batch_size: int, epochs: int) -> dict[str, float]:
    """Median seconds of a plain batch, and median ratios of the other two to it."""
    from mmpretrain.structures import DataSample

    def batch(seed: int) -> dict:
        generator = torch.Generator().manual_seed(seed)
        shape = (3, 32, 32)
        images = torch.randint(0, 256, (batch_size, *shape), dtype=torch.uint8, generator=generator)
        samples = [DataSample().set_gt_label(index % 10) for index in range(batch_size)]
        return {"inputs": list(images), "data_samples": samples}

    with tempfile.TemporaryDirectory() as folder:
        built = models(Path(folder))
        data = [batch(seed) for seed in range(batches)]
        for each in data:  # warms up, and fills the cache
            for model in built.values():
                train_step(model, each)
        times = [
            {name: train_step(model, each) for name, model in built.items()}
            for _ in range(epochs)
            for each in data
        ]
    ratios = {
        f"{name}_to_plain": statistics.median(turn[name] / turn["plain"] for turn in times)
        for name in ("distilled", "cached")
    }
    return {"plain_s": statistics.median(turn["plain"] for turn in times), **ratios}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=10, help="of an epoch (default: 10)")
    parser.add_argument("--batch-size", type=int, default=32, help="default: 32")
    parser.add_argument("--epochs", type=int, default=2, help="default: 2")
    args = parser.parse_args()
    init_default_scope("mmpretrain")
    found = {name: round(value, 4) for name, value in measure(**vars(args)).items()}
    facts = {"name": "distillation_cache", **vars(args), "threads": torch.get_num_threads()}
    print(json.dumps({**facts, **found}))


if __name__ == "__main__":
    main()
