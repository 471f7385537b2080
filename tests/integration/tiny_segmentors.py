"""Tiny mmseg models of ours, batches for them, and a folder of ADE20K's form with a config around it."""

import spikevision  # noqa: F401  (answers mmcv's operators: before mmseg)

# isort: split
import mmseg.datasets
import mmseg.engine
import mmseg.evaluation  # noqa: F401  (the two register what a Runner needs)
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

CLASSES = 5
PALETTE = [[40 * index, 255 - 50 * index, 90] for index in range(CLASSES)]
BACKBONE = dict(
    type="spikevision.MetaSpikeFormer",
    arch=dict(embed_dims=(8, 16, 32, 40), num_heads=8),
    time_steps=2,
)
PREPROCESSOR = dict(
    type="SegDataPreProcessor",
    mean=[120.0] * 3,
    std=[60.0] * 3,
    size=(64, 64),
    test_cfg=dict(size_divisor=16),
)
SEMANTIC_FPN = dict(
    type="EncoderDecoder",
    data_preprocessor=PREPROCESSOR,
    backbone=dict(**BACKBONE, out_indices=(0, 1, 2, 4)),
    neck=dict(
        type="spikevision.SpikingFPN",
        in_channels=[4, 8, 16, 40],
        out_channels=12,
        num_outs=4,
        norm_cfg=dict(type="BN"),
    ),
    decode_head=dict(
        type="spikevision.SpikingFPNHead",
        in_channels=[12] * 4,
        in_index=[0, 1, 2, 3],
        channels=10,
        num_classes=CLASSES,
    ),
    test_cfg=dict(mode="whole"),
)
UPERNET = dict(
    type="EncoderDecoder",
    data_preprocessor=PREPROCESSOR,
    backbone=dict(**BACKBONE, out_indices=(1, 2, 3, 4)),
    decode_head=dict(
        type="spikevision.SpikingUPerHead",
        in_channels=[8, 16, 32, 40],
        in_index=[0, 1, 2, 3],
        channels=10,
        num_classes=CLASSES,
    ),
    auxiliary_head=dict(
        type="spikevision.SpikingFCNHead",
        in_channels=32,
        in_index=2,
        channels=10,
        num_convs=1,
        num_classes=CLASSES,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
    ),
    test_cfg=dict(mode="whole"),
)
SEGMENTORS = {"semantic_fpn": SEMANTIC_FPN, "upernet": UPERNET}


def build(cfg, **changes):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(ConfigDict({**cfg, **changes}))
        model.init_weights()
    return model


def enliven(model):
    """Let all neurons of a random network fire: a weight behind a silent neuron has no gradient to receive."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 3)
            nn.init.constant_(module.bias, 1)
    return model


def batch(height=64, width=64, *, n=2):
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 255, (3, height, width), generator=generator, dtype=torch.uint8)
        for _ in range(n)
    ]
    samples = []
    for _ in range(n):
        labels = torch.randint(0, CLASSES, (1, height, width), generator=generator)
        size = dict(ori_shape=(height, width), img_shape=(height, width), pad_shape=(height, width))
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=size))
    return dict(inputs=images, data_samples=samples)


def predict(model, data):
    with torch.no_grad():
        return model.eval().test_step(data)


def losses_of(model, data):
    prepared = model.data_preprocessor(data, training=True)
    return model.parse_losses(model(**prepared, mode="loss"))


def write_ade_folder(root, *, labels=None, seed=0):
    generator = np.random.default_rng(seed)
    for part in ("training", "validation"):
        for kind in ("images", "annotations"):
            (root / kind / part).mkdir(parents=True)
        for index in range(2):
            # in the files 0 is ignored and 1 is the first class
            label = generator.integers(0, CLASSES + 1, (64, 64), dtype=np.uint8)
            image = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / "images" / part / f"{index}.png")
            Image.fromarray(label).save(root / "annotations" / part / f"{index}.png")
    for path, label in (labels or {}).items():
        Image.fromarray(label).save(root / "annotations" / path)


def runner_config(root, work_dir):
    """A stock config on a folder of :func:`write_ade_folder`."""
    annotations = dict(type="LoadAnnotations", reduce_zero_label=True)

    def loader(part, batch_size, sampler):
        dataset = dict(
            type="BaseSegDataset",
            data_root=str(root),
            img_suffix=".png",
            reduce_zero_label=True,
            metainfo=dict(classes=tuple("abcde"), palette=PALETTE),
            data_prefix=dict(img_path=f"images/{part}", seg_map_path=f"annotations/{part}"),
            pipeline=[dict(type="LoadImageFromFile"), annotations, dict(type="PackSegInputs")],
        )
        sampler = dict(type=sampler, shuffle=False)
        return dict(batch_size=batch_size, num_workers=0, dataset=dataset, sampler=sampler)

    return Config(
        dict(
            work_dir=str(work_dir),
            default_scope="mmseg",
            experiment_name=work_dir.name,
            model=SEMANTIC_FPN,
            train_dataloader=loader("training", 2, "InfiniteSampler"),
            val_dataloader=loader("validation", 1, "DefaultSampler"),
            test_dataloader=loader("validation", 1, "DefaultSampler"),
            val_evaluator=dict(type="IoUMetric", iou_metrics=["mIoU"]),
            test_evaluator=dict(type="IoUMetric", iou_metrics=["mIoU"]),
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=2, val_interval=2),
            val_cfg=dict(type="ValLoop"),
            test_cfg=dict(type="TestLoop"),
            optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3)),
            custom_hooks=[dict(type="spikevision.SegmentationLabelHook")],
            visualizer=dict(type="SegLocalVisualizer", name="visualizer"),
            log_level="WARNING",
        )
    )
