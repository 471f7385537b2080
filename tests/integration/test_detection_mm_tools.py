"""mm tools on shrunk detectors: Runner with EMA and accumulation, test-time augmentation, DDP."""

import pytest
import torch
from mmengine.runner import Runner

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from tiny_detectors import (
    SIDE,
    batch,
    build,
    losses_of,
    runner_config,
    shrunk,
    total,
    train_on_one_rank,
)

pytestmark = pytest.mark.slow


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
