"""The demos of detection and segmentation from data to picture, on two tiles and for two iterations."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikevision.datasets.microscopy import CATEGORIES, CLASSES
from spikevision.datasets.scene_folder import Instance, Scene, write_part

ROOT = Path(__file__).parents[2]
SIDE = 64
QUICK = "_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py"


def scene(name, *, seed):
    """Three bright squares, each a nucleus in a cell."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    semantic = np.zeros((SIDE, SIDE), dtype=np.uint8)
    instances = []
    for corner in random.integers(0, SIDE - 20, (3, 2)):
        for category, (inset, side) in enumerate(((0, 20), (5, 10))):
            mask = np.zeros((SIDE, SIDE), dtype=bool)
            top, left = corner + inset
            mask[top : top + side, left : left + side] = True
            image[mask] += np.array([20, 90, 20], dtype=np.uint8)
            semantic[mask] = category + 1
            instances.append(Instance(category, mask))
    return Scene(name, image // 2, semantic, instances)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``data/scratch-assay`` in it."""
    for seed, part in enumerate(("training", "validation")):
        scenes = [scene(f"{part}{index}", seed=[seed, index]) for index in range(2)]
        write_part(
            tmp_path / "data" / "scratch-assay",
            part,
            scenes,
            categories=CATEGORIES,
            classes=CLASSES,
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def demo(monkeypatch):
    """The demo's module; its data is there already."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    spec = importlib.util.spec_from_file_location("demo", ROOT / "tools" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "prepare", lambda name: f"data/{name}")
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "headlines", "crop"),
    [
        ("mask-rcnn", {"coco/bbox_mAP_50", "coco/segm_mAP_50"}, ""),
        ("semantic-fpn", {"mIoU"}, "data_preprocessor=dict(size=(64, 64)),"),
    ],
)
def test_a_demo_trains_tests_and_draws(folder, demo, monkeypatch, model, headlines, crop):
    config = folder / "short.py"
    config.write_text(
        f"_base_ = [r'{ROOT / 'configs' / 'quick' / (model + QUICK)}']\n"
        f"model = dict({crop} backbone=dict(time_steps=1))\n"
        "train_cfg = dict(max_epochs=1)\n"
        "train_dataloader = dict(\n"
        "    num_workers=0, persistent_workers=False, dataset=dict(times=2))\n"
        "val_dataloader = dict(num_workers=0, persistent_workers=False)\n"
        "test_dataloader = val_dataloader\n"
    )
    monkeypatch.setattr(sys, "argv", ["demo.py", str(config), "--data", "scratch-assay"])
    demo.main()
    (written,) = (folder / "work_dirs" / "short").glob("*/demo.json")
    table = json.loads(written.read_text())
    assert headlines <= set(table)
    assert table["held-out images"] == "2"
    with Image.open(table["picture"]) as picture:
        assert picture.size == (960, 2 * 320)
