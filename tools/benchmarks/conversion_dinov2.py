"""Conversion of real pretrained weights: DINOv2 ViT-S/14 with a saliency decoder, on real photos.

    python tools/benchmarks/conversion_dinov2.py photos --preset ecmt
    python tools/benchmarks/conversion_dinov2.py neighbours --preset ecmt

``photos`` compares saliency map and final features of 51 photos with those of the ANN; 64 crops of 16 other photos
calibrate. ``neighbours`` classifies Fashion-MNIST by the nearest of the ANN's features of training images and compares
the classes that the features of the ANN and of the converted backbone give. Each call prints one JSON line.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import dinov2
import numpy as np
import photos
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikevision.conversion import STAConfig, convert
from spikevision.datasets.preparers import prepare

STEPS = {"exact": [1, 2, 4], "sta": [32, 64], "sta+": [4, 8, 16], "ecmt": [1, 2, 4, 8, 16]}
NEIGHBOURS = 20


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's coefficient of two maps."""
    a, b = ((x.double() - x.double().mean()).flatten() for x in (a, b))
    return float(a @ b / (a.norm() * b.norm()))


def overlap(a: Tensor, b: Tensor) -> float:
    """Intersection over union of what lies above one half; 1 where nothing does in both."""
    a, b = a > 0.5, b > 0.5
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def compare(wanted: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> list[dict[str, float]]:
    """Figures of each image of a batch."""
    rows = []
    for feature, other, map_, its in zip(wanted[0], found[0], wanted[1], found[1], strict=True):
        rows.append(
            {
                "correlation": correlation(map_, its),
                "iou": overlap(map_, its),
                "cosine": float(F.cosine_similarity(feature.flatten(), other.flatten(), 0)),
                "cosine_class_token": float(F.cosine_similarity(feature[0], other[0], 0)),
                "largest_difference": float((map_ - its).abs().max()),
            }
        )
    return rows


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the images, and the worst image."""
    table = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    table["largest_difference"] = max(row["largest_difference"] for row in rows)
    table["least_correlation"] = min(row["correlation"] for row in rows)
    return {name: round(value, 6) for name, value in table.items()}


def on_photos(model: nn.Module, args: argparse.Namespace) -> dict[str, Any]:
    """Saliency and features of the photos at each T."""
    calibration, test = photos.calibration_and_test(args.data / ".cache", args.size)
    config = STAConfig(preset=args.preset, **args.set)
    snn = convert(model, calibration.split(8), config, rules=dinov2.READOUT_RULES)
    rows: dict[str, list[dict[str, float]]] = {}
    for batch in test[: args.images].split(8):
        wanted = snn.ann(batch)
        stages = {"without_spikes": snn.without_spikes(batch)}
        stages |= {str(t): found for t, found in snn.run(batch, max(args.at), at=args.at).items()}
        for stage, found in stages.items():
            rows.setdefault(stage, []).extend(compare(wanted, found))
        print({stage: summary(r) for stage, r in rows.items()}, file=sys.stderr, flush=True)
    return {"photos": len(rows["without_spikes"])} | {s: summary(r) for s, r in rows.items()}


def fashion(root: Path, part: str, number: int, size: int) -> tuple[Tensor, Tensor]:
    """The first pictures of a part of Fashion-MNIST as ``[N, 3, size, size]``, and their classes."""
    folder = prepare("fashion-mnist", root=root)
    pixels = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, number * 784, offset=16)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, number, offset=8)
    grey = torch.from_numpy(pixels.reshape(number, 1, 28, 28) / np.float32(255))
    scaled = F.interpolate(grey, size=(size, size), mode="bilinear")
    return (scaled.expand(-1, 3, -1, -1) - 0.45) / 0.226, torch.from_numpy(labels).long()


def classes_of(features: Tensor, known: Tensor, labels: Tensor) -> Tensor:
    """Class that most of the nearest known features have, by cosine."""
    near = (F.normalize(features, dim=1) @ F.normalize(known, dim=1).T).topk(NEIGHBOURS, 1).indices
    return F.one_hot(labels[near], 10).sum(1).argmax(1)


def on_neighbours(model: dinov2.SaliencyNet, args: argparse.Namespace) -> dict[str, Any]:
    """Agreement of nearest neighbours, by the class token, at each T."""
    images, labels = fashion(args.data, "train", args.known, args.size)
    test, truth = fashion(args.data, "t10k", args.images, args.size)
    config = STAConfig(preset=args.preset, **args.set)
    snn = convert(model.backbone, images[:64].split(16), config)
    known = torch.cat([snn.ann(batch)[0][:, 0] for batch in images.split(32)])
    found: dict[str, list[Tensor]] = {}
    for batch in test.split(32):
        stages = {"ann": snn.ann(batch), **snn.run(batch, max(args.at), at=args.at)}
        for stage, (tokens,) in stages.items():
            found.setdefault(str(stage), []).append(classes_of(tokens[:, 0], known, labels))
    whole = {stage: torch.cat(parts) for stage, parts in found.items()}
    return {"pictures": len(truth), "known": len(labels)} | {
        stage: {
            "accuracy_percent": round(100 * float((value == truth).double().mean()), 2),
            "agreement_percent": round(100 * float((value == whole["ann"]).double().mean()), 2),
        }
        for stage, value in whole.items()
    }


def main() -> None:
    """Measure one preset on one kind of data."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("part", choices=["photos", "neighbours"])
    parser.add_argument("--preset", default="ecmt", choices=list(STEPS))
    parser.add_argument("--set", type=json.loads, default={}, help="further fields, as JSON")
    parser.add_argument("--at", type=int, nargs="+", help="steps (default: those of the docs)")
    parser.add_argument("--images", type=int, help="default: 51 photos, 200 pictures")
    parser.add_argument("--known", type=int, default=2000, help="training pictures")
    parser.add_argument("--size", type=int, help="side in pixels (default: 112; neighbours: 56)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: data")
    args = parser.parse_args()
    near = args.part == "neighbours"
    args.at = args.at or STEPS[args.preset]
    args.images = args.images or (200 if near else 51)
    args.size = args.size or (56 if near else 112)
    model, start = dinov2.load(args.data / ".cache"), time.process_time()
    result = (on_neighbours if near else on_photos)(model, args)
    line = {"name": f"conversion_dinov2_{args.part}", "preset": args.preset, **args.set}
    line |= {"size": args.size, "cpu_s": round(time.process_time() - start)}
    print(json.dumps(line | {"result": result}))


if __name__ == "__main__":
    main()
