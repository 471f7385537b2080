"""mm tools on shrunk detectors: Runner with EMA and accumulation, test-time augmentation, DDP."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from tiny_detectors import (
    CLASSES,
    SIDE,
    batch,
    build,
    losses_of,
    shrunk,
    total,
    train_on_one_rank,
)

pytestmark = pytest.mark.slow
NAMES = [f"class{index}" for index in range(CLASSES)]


def write_coco(root, images=4):
    """Bright boxes on noise as a COCO folder with one annotation file for training and validation."""
    generator = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    entries, annotations = [], []
    for index in range(images):
        image = generator.integers(0, 100, (SIDE, SIDE, 3), dtype=np.uint8)
        left, top, width, height = 8 + 4 * index, 12, 30, 36
        image[top : top + height, left : left + width] += 120
        cv2.imwrite(str(root / "images" / f"{index}.png"), image)
        entries.append(dict(id=index, file_name=f"{index}.png", width=SIDE, height=SIDE))
        right, bottom = left + width, top + height
        annotations.append(
            dict(
                id=index + 1,
                image_id=index,
                category_id=index % CLASSES + 1,
                bbox=[left, top, width, height],
                area=width * height,
                iscrowd=0,
                segmentation=[[left, top, right, top, right, bottom, left, bottom]],
            )
        )
    categories = [dict(id=index + 1, name=name) for index, name in enumerate(NAMES)]
    content = dict(images=entries, annotations=annotations, categories=categories)
    (root / "coco.json").write_text(json.dumps(content))


def runner_config(tmp_path, name="mask-rcnn"):
    """The shipped config on the tiny folder; only paths, sizes and lengths are changed."""
    write_coco(tmp_path / "data")
    config = shrunk(name)
    dataset = dict(
        data_root=str(tmp_path / "data"),
        ann_file="coco.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes=NAMES),
        filter_cfg=None,
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.dataset.update(dataset)
        loader.update(num_workers=0, persistent_workers=False)
    for step in (
        *config.train_dataloader.dataset.pipeline,
        *config.val_dataloader.dataset.pipeline,
    ):
        if step.type == "RandomChoiceResize":
            step.scales = [(SIDE, SIDE), (2 * SIDE, SIDE)]
        elif step.type == "Resize":
            step.scale = (SIDE, SIDE)
    config.test_dataloader.dataset.pipeline = config.val_dataloader.dataset.pipeline
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.ann_file = str(tmp_path / "data" / "coco.json")
    config.train_cfg.max_epochs = 2
    config.optim_wrapper = dict(
        type="OptimWrapper", optimizer=config.optim_wrapper.optimizer, accumulative_counts=2
    )
    config.custom_hooks = [dict(type="EMAHook")]
    config.work_dir = str(tmp_path / "work")
    config.log_level = "ERROR"
    config.experiment_name = tmp_path.name
    return config


def test_stock_runner_trains_with_ema_and_accumulation_and_evaluates(tmp_path):
    runner = Runner.from_cfg(runner_config(tmp_path))
    runner.train()
    metrics = runner.val_loop.run()
    assert {"coco/bbox_mAP_50", "coco/segm_mAP_50"} <= set(metrics)
    saved = torch.load(tmp_path / "work" / "epoch_2.pth", weights_only=True)
    assert {"state_dict", "ema_state_dict"} <= set(saved)
    for weights in (saved["state_dict"], saved["ema_state_dict"]):
        assert all(v.isfinite().all() for v in weights.values())


def test_test_time_augmentation_merges_flipped_images(tmp_path):
    config = runner_config(tmp_path, "retinanet")  # mmdet merges boxes, not masks
    config.tta_model = dict(
        type="DetTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=10)
    )
    config.tta_pipeline = [
        dict(type="LoadImageFromFile"),
        dict(
            type="TestTimeAug",
            transforms=[
                [dict(type="Resize", scale=(SIDE, SIDE), keep_ratio=True)],
                [dict(type="RandomFlip", prob=1.0), dict(type="RandomFlip", prob=0.0)],
                [dict(type="LoadAnnotations", with_bbox=True)],
                [
                    dict(
                        type="PackDetInputs",
                        meta_keys=(
                            "img_id",
                            "img_path",
                            "ori_shape",
                            "img_shape",
                            "scale_factor",
                            "flip",
                            "flip_direction",
                        ),
                    )
                ],
            ],
        ),
    ]
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    config.model = dict(**config.tta_model, module=config.model)
    runner = Runner.from_cfg(config)
    assert "coco/bbox_mAP_50" in runner.test()


def test_two_processes_without_unused_parameters_stay_equal(tmp_path):
    torch.multiprocessing.spawn(train_on_one_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    untrained = dict(build(shrunk("mask-rcnn")).named_parameters())
    assert [name for name, value in first.items() if torch.equal(value, untrained[name])] == []


def test_a_batch_without_any_object_reaches_every_parameter():
    model = build(shrunk("mask-rcnn")).train()
    data = batch()
    for sample in data["data_samples"]:
        sample.gt_instances = sample.gt_instances[:0]
    losses = losses_of(model, data)
    total(losses).backward()
    assert losses["loss_mask"].item() == 0
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(b.isfinite().all() for b in model.buffers())
