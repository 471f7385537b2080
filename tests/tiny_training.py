"""A tiny real training: 2 classes of 32x32 pictures, a small stock network, seconds on a CPU."""

from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='LeNet5', num_classes=2),
    head=dict(type='ClsHead', loss=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    data_preprocessor=dict(mean=[127.5], std=[64.0], num_classes=2))
train_pipeline = [
    dict(type='spikevision.SafeLoadImage', color_type='grayscale'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='RandomCrop', crop_size=32, padding=2),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='spikevision.SafeLoadImage', color_type='grayscale'),
    dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=4, num_workers=0,
    dataset=dict(type='CustomDataset', data_root=r'{root}', data_prefix='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=4, num_workers=0,
    dataset=dict(type='CustomDataset', data_root=r'{root}', data_prefix='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1,))
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.002))
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=5),
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=5, end=15)]
train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=2),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1))
custom_imports = dict(imports={imports}, allow_failed_imports=False)
custom_hooks = {hooks}
randomness = dict(seed=3)
"""


# the same job with a spiking network of ours, drop path and a batch of any size
SPIKING = {
    "_delete_": True,
    "type": "ImageClassifier",
    "backbone": {
        "type": "spikevision.MetaSpikeFormer",
        "arch": {"embed_dims": [8, 16, 24, 32], "num_heads": 2},
        "time_steps": 2,
        "in_channels": 1,
        "drop_path_rate": 0.3,
    },
    "head": {"type": "spikevision.SpikingClsHead", "num_classes": 2, "in_channels": 32},
    "data_preprocessor": {"mean": [127.5], "std": [64.0], "num_classes": 2},
}
# the same with one block per stage, as a config writes it: for trainings that are repeated often
SHALLOW = {key: value for key, value in SPIKING.items() if key != "_delete_"}
SHALLOW["backbone"] = {
    **SPIKING["backbone"],
    "arch": {"embed_dims": [8, 16, 24, 32], "num_heads": 2, "depths": (1, 1)},
}


def write_pictures(root: Path) -> Path:
    """10 + 4 pictures per class: noise on the left side or on the right."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for label, name in enumerate(("left", "right")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                picture = generator.integers(0, 60, (32, 32), dtype=np.uint8)
                picture[:, 16 * label : 16 * label + 16] += 150
                Image.fromarray(picture).save(folder / f"{index}.png")
    return root
