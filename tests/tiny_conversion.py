"""A tiny vision transformer in a config, with random weights in a checkpoint, to be converted."""

from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from tiny_training import CONFIG, write_pictures
from torch import nn

from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model

VIT = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
        img_size=32, patch_size=16, in_channels=1),
    head=dict(type='VisionTransformerClsHead', num_classes=2, in_channels=16),
    data_preprocessor=dict(mean=[127.5], std=[64.0], num_classes=2))
conversion = dict(preset='ecmt', time_steps=4, calibration_images=12, layer_images=3)
"""


def write_config(folder: Path, *, more: str = "") -> Path:
    """The config, with data beside it."""
    path = folder / "vit.py"
    pictures = folder / "pictures"
    if not pictures.is_dir():
        write_pictures(pictures)
    path.write_text(CONFIG.format(root=pictures, imports=[], hooks=[]) + VIT + more)
    return path


def write_checkpoint(config: Path, *, seed: int = 0) -> Path:
    """Random weights, as mmengine would have saved them."""
    torch.manual_seed(seed)
    loaded = load_config(config)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = build_model(loaded)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    path = config.with_name(f"vit-{seed}.pth")
    meta = {"dataset_meta": {"classes": ["left", "right"]}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, path)
    return path
