"""Accuracy of converted transformers on real digits: all presets, several seeds.

Trains a small ViT (3 blocks of width 64, 16 patches) on 1,347 of the 1,797 scans of 8x8 pixels that the package
scikit-learn carries, for every seed, converts it with 300 training images and measures the other 450: accuracy,
agreement with the ANN and signal-to-noise ratio of the logits at every T, and for 20 of them the energy up to T = 32 by
the classic model, as a multiple of the ANN's. Prints one JSON line.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

import argparse
import gzip
import json
import math
import sys
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from spikevision.conversion import SpikingModel, STAConfig, convert
from spikevision.conversion.fidelity import classification_fidelity
from spikevision.datasets.fetch import fetch
from spikevision.statistics import CLASSIC, SpikeRecorder

STEPS = {"exact": [1, 2, 16], "sta": [1, 2, 4, 8, 16, 32, 64, 128], "sta+": [1, 2, 4, 8, 16, 32]}
STEPS |= {"ecmt": [1, 2, 4, 8, 16, 32]}


def load(data: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Images ``[N, 1, 8, 8]`` of about mean 0 and deviation 1, and labels ``[N]``; a fixed stratified split."""
    with zipfile.ZipFile(fetch("scikit-learn", cache=data / ".cache")) as wheel:
        table = gzip.decompress(wheel.read("sklearn/datasets/data/digits.csv.gz")).decode()
    values = torch.tensor([[float(v) for v in line.split(",")] for line in table.splitlines()])
    images, labels = (values[:, :-1].view(-1, 1, 8, 8) - 4.9) / 6.0, values[:, -1].long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    test = torch.cat([order[labels[order] == digit][:45] for digit in range(10)])
    train = order[~torch.isin(order, test)]
    return {name: (images[part], labels[part]) for name, part in (("train", train), ("test", test))}


def build() -> nn.Module:
    """A stock classifier of mmpretrain."""
    arch = {"embed_dims": 64, "num_layers": 3, "num_heads": 4, "feedforward_channels": 256}
    backbone = {"type": "VisionTransformer", "arch": arch, "img_size": 8, "patch_size": 2}
    head = {"type": "VisionTransformerClsHead", "num_classes": 10, "in_channels": 64}
    config = {"type": "mmpretrain.ImageClassifier", "_scope_": "mmpretrain", "head": head}
    return MODELS.build({**config, "backbone": {**backbone, "in_channels": 1}})


def train(images: Tensor, labels: Tensor, *, seed: int, epochs: int) -> nn.Module:
    """Train from scratch; a minute on one core."""
    torch.manual_seed(seed)
    model = build()
    nn.init.trunc_normal_(
        model.backbone.pos_embed, std=0.5
    )  # as large as the patches, so that few images suffice
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    steps = epochs * math.ceil(len(images) / 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    model.train()
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(64):
            loss = F.cross_entropy(model(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    return model


def measure(model: nn.Module, data: dict, args: argparse.Namespace) -> dict:
    """Fidelity by preset."""
    calibration = data["train"][0][:300].split(100)
    test = list(zip(*(part[: args.images].split(150) for part in data["test"]), strict=True))
    found = {}
    for preset in args.presets:
        snn = convert(model, calibration, STAConfig(preset=preset))
        at = [t for t in STEPS[preset] if t <= args.most_steps]
        found[preset] = classification_fidelity(snn, test, at=at)
        for t, ratio in energy(snn, test[0][0][:20]).items():
            if str(t) in found[preset]:
                found[preset][str(t)]["energy_per_ann"] = ratio
        print(preset, json.dumps(found[preset]), file=sys.stderr, flush=True)
    return found


def energy(snn: SpikingModel, images: Tensor) -> dict[int, float]:
    """Energy of the first T steps over that of the ANN, by T."""
    with SpikeRecorder(snn) as recorder:
        snn(images)
    found = {}
    for t in range(1, snn.time_steps + 1):
        estimate = CLASSIC.estimate(recorder.record.first_steps(t))
        found[t] = round(estimate.snn_pj / estimate.ann_pj, 3)
    return found


def main() -> None:
    """Train, convert and measure for every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="default: data")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to SEEDS-1 (default: 3)")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=450, help="test images (default: 450)")
    parser.add_argument("--presets", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--most-steps", type=int, default=128, help="largest T (default: 128)")
    parser.add_argument("--checkpoints", type=Path, help="folder to keep trained weights in")
    args = parser.parse_args()
    data, results = load(args.data), []
    for seed in range(args.seeds):
        weights = args.checkpoints and args.checkpoints / f"vit-digits-{seed}.pth"
        if weights and weights.is_file():
            model = build().eval()
            model.load_state_dict(torch.load(weights, weights_only=True))
        else:
            model = train(*data["train"], seed=seed, epochs=args.epochs)
            if weights:
                weights.parent.mkdir(parents=True, exist_ok=True)
                torch.save(model.state_dict(), weights)
        results.append(measure(model, data, args))
    line = {"name": "conversion_digits", "images": args.images, "seeds": results}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
