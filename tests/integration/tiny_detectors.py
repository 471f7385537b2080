"""The shipped detection configs, shrunk, and batches for them."""

import json
import logging
from pathlib import Path

import spikevision  # noqa: F401  (answers mmcv's operators: before mmdet)

# isort: split
import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

FOLDER = Path(__file__).parents[2] / "configs" / "detection"
CONFIGS = {
    "mask-rcnn": "mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco.py",
    "cascade": "cascade-mask-rcnn_meta-spikeformer-15m_t1_8xb2-36e_coco.py",
    "retinanet": "retinanet_meta-spikeformer-15m_t1_8xb2-12e_coco.py",
    "fcos": "fcos_meta-spikeformer-15m_t1_8xb2-12e_coco.py",
}
DIMS = (8, 16, 32, 40)
WIDTH, CLASSES, SIDE = 16, 3, 64
NAMES = [f"class{index}" for index in range(CLASSES)]


def shrunk(name, time_steps=2):
    """A shipped config with a tiny backbone, 16 channels everywhere else, 3 classes and small anchors."""
    config = Config.fromfile(FOLDER / CONFIGS[name])
    model = config.model
    model.backbone.arch = dict(embed_dims=DIMS, num_heads=2)
    model.backbone.time_steps = time_steps
    model.neck.in_channels = list(DIMS[-len(model.neck.in_channels) :])
    model.neck.out_channels = WIDTH
    if "rpn_head" not in model:
        model.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH, num_classes=CLASSES)
        if name == "fcos":  # boxes of one size, for every level
            model.bbox_head.regress_ranges = ((-1, 1e8),) * 5
        return config
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.rpn_head.anchor_generator.scales = [
        1
    ]  # 4 to 64 pixels: some of each level inside the image
    model.train_cfg.rpn.sampler.num = 10000  # every anchor, so that no level goes without
    model.train_cfg.rpn_proposal.update(nms_pre=50, max_per_img=20)
    model.test_cfg.rpn.update(nms_pre=50, max_per_img=20)
    roi_head = model.roi_head
    for extractor in (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor):
        extractor.update(
            out_channels=WIDTH, finest_scale=8
        )  # regions of 8 to 64 pixels spread over the levels
    boxes = roi_head.bbox_head
    for head in boxes if isinstance(boxes, list) else [boxes]:
        head.update(in_channels=WIDTH, fc_out_channels=32, num_classes=CLASSES)
    roi_head.mask_head.update(in_channels=WIDTH, conv_out_channels=WIDTH, num_classes=CLASSES)
    return config


def build(config):
    """The model, its backbone's norms scaled up: untrained attention is silent on the few tokens of a tiny image."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(config.model)
    model.init_weights()
    for module in model.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 4.0)
    return model


def batch(images=3, side=SIDE):
    """Raw images as a dataloader gives them, with one bright box each. More images than time steps."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for index in range(images):
        image = torch.randint(0, 100, (3, side, side), generator=generator, dtype=torch.uint8)
        left, top, right, bottom = 8 + 4 * index, 12, side - 24 + 4 * index, side - 12
        image[index % 3, top:bottom, left:right] += 120
        mask = np.zeros((1, side, side), np.uint8)
        mask[0, top:bottom, left:right] = 1
        sample = DetDataSample(
            metainfo=dict(
                img_id=index,
                img_shape=(side, side),
                ori_shape=(side, side),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[left, top, right, bottom]], dtype=torch.float32),
            labels=torch.tensor([index % CLASSES]),
            masks=BitmapMasks(mask, side, side),
        )
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
        inputs.append(image)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def total(losses):
    return sum(sum(v) if isinstance(v, list) else v for k, v in losses.items() if "loss" in k)


def losses_of(model, data):
    data = model.data_preprocessor(data, training=True)
    return model(**data, mode="loss")


def train_on_one_rank(rank, folder):
    """Two DDP steps without unused parameters; the second process sees no object in the second one."""
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    model = MMDistributedDataParallel(
        build(shrunk("mask-rcnn")).train(), find_unused_parameters=False
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(2):
        data = batch()
        if rank and step:
            for sample in data["data_samples"]:
                sample.gt_instances = sample.gt_instances[:0]
        optimizer.zero_grad()
        with_grad = model(**model.module.data_preprocessor(data, training=True), mode="loss")
        total(with_grad).backward()
        optimizer.step()
    torch.save(dict(model.module.named_parameters()), f"{folder}/{rank}.pth")
    torch.distributed.destroy_process_group()


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
