"""Stock mmdet detectors from the shipped configs, shrunk: loss, backward and prediction on random images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks

FOLDER = Path(__file__).parents[2] / "configs" / "detection"
CONFIGS = {
    "mask-rcnn": "mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco.py",
    "cascade": "cascade-mask-rcnn_meta-spikeformer-15m_t1_8xb2-36e_coco.py",
    "retinanet": "retinanet_meta-spikeformer-15m_t1_8xb2-12e_coco.py",
    "fcos": "fcos_meta-spikeformer-15m_t1_8xb2-12e_coco.py",
}
DIMS = (8, 16, 32, 40)
WIDTH, CLASSES, SIDE = 16, 3, 64


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
    model.rpn_head.anchor_generator.scales = [2]
    model.train_cfg.rpn.sampler.num = 10000  # every anchor, so that no level goes without
    model.train_cfg.rpn_proposal.update(nms_pre=50, max_per_img=20)
    model.test_cfg.rpn.update(nms_pre=50, max_per_img=20)
    roi_head = model.roi_head
    for extractor in (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor):
        extractor.update(out_channels=WIDTH, finest_scale=8)  # regions of 8 to 64 pixels spread over the levels
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
                img_id=index, img_shape=(side, side), ori_shape=(side, side), scale_factor=(1.0, 1.0)
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


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_reach_every_parameter(name):
    model = build(shrunk(name)).train()
    # a 1x1 map is nearly silent behind padded 3x3 convolutions, so FCOS's stride 64 gets a larger image
    losses = losses_of(model, batch(side=2 * SIDE if name == "fcos" else SIDE))
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_layer_behind_the_backbone_is_driven_by_spikes_that_are_there(name):
    model = build(shrunk(name)).train()
    rates = {}
    for key, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and "backbone" not in key:
            module.register_forward_pre_hook(
                lambda module, args, key=key: rates.setdefault(key, []).append(
                    (set(args[0].unique().tolist()) <= {0.0, 1.0}, args[0].mean().item())
                )
            )
    with torch.no_grad():
        losses_of(model, batch())
    assert len(rates) >= 12
    assert [key for key, calls in rates.items() if not all(binary for binary, _ in calls)] == []
    assert [key for key, calls in rates.items() if max(rate for _, rate in calls) < 0.02] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_prediction_is_in_the_pixels_of_the_original_images(name):
    model = build(shrunk(name)).eval()
    results = model.test_step(batch())
    assert len(results) == 3
    for result in results:
        boxes = result.pred_instances.bboxes
        assert boxes.shape[1:] == (4,)
        assert ((boxes >= 0) & (boxes <= SIDE)).all()
        assert (result.pred_instances.labels < CLASSES).all()
        if "masks" in result.pred_instances:
            assert result.pred_instances.masks.shape[1:] == (SIDE, SIDE)


@pytest.mark.parametrize("name", ["mask-rcnn", "cascade"])
def test_samplers_that_look_at_features_get_those_of_their_image(name):
    config = shrunk(name)
    stages = config.model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler = dict(type="OHEMSampler", num=16, pos_fraction=0.25, add_gt_as_proposals=True)
    model = build(config).train()
    with torch.no_grad():
        assert total(losses_of(model, batch())).isfinite()


@pytest.mark.parametrize("name", ["mask-rcnn", "fcos"])
def test_a_few_steps_on_one_batch_lower_the_loss(name):
    config = shrunk(name)
    model = build(config).train()
    config.optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=2e-3))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    history = [model.train_step(batch(), wrapper)["loss"].item() for _ in range(8)]
    assert min(history[-3:]) < 0.8 * history[0]


@pytest.mark.parametrize("name", ["mask-rcnn", "fcos"])
def test_half_precision_gives_the_losses_of_single_precision(name):
    model = build(shrunk(name)).eval()  # losses of the same proposals need the same batch statistics
    data = model.data_preprocessor(batch(), training=True)
    full = losses_of_eval(model, data)
    with torch.autocast("cpu", torch.bfloat16):
        half = losses_of_eval(model, data)
    half.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert half.item() == pytest.approx(full.item(), rel=0.1)


def losses_of_eval(model, data):
    torch.manual_seed(0)  # samplers draw
    return total(model(**data, mode="loss"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AmpOptimWrapper needs a GPU")
@pytest.mark.parametrize("name", CONFIGS)
def test_the_amp_wrapper_with_accumulation_takes_a_step(name):
    config = shrunk(name)
    model = build(config).cuda().train()
    wrapper = build_optim_wrapper(
        model, dict(type="AmpOptimWrapper", accumulative_counts=2, optimizer=config.optim_wrapper.optimizer)
    )
    wrapper.initialize_count_status(model, 0, 2)
    before = {n: p.clone() for n, p in model.named_parameters()}
    model.train_step(batch(), wrapper)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    model.train_step(batch(), wrapper)
    assert [n for n, p in model.named_parameters() if torch.equal(p, before[n])] == []
