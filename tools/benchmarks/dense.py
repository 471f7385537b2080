"""Detectors and segmentors that benchmarks train for a step, on random images of any size; no data are needed."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model

CONFIGS = Path(__file__).parents[2] / "configs"
DENSE = {
    "mask-rcnn-15m": "detection/mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco.py",
    "semantic-fpn-15m": "segmentation/semantic-fpn_meta-spikeformer-15m_t4_4xb4-160k_ade20k-512x512.py",
}


def build_dense(network: str, *, time_steps: int) -> nn.Module:
    """One of :data:`DENSE` with random weights."""
    config = load_config(str(CONFIGS / DENSE[network]))
    config.model.backbone.update(time_steps=time_steps, init_cfg=None)
    init_default_scope(config.default_scope)
    torch.manual_seed(0)
    with contextlib.redirect_stdout(sys.stderr):  # a benchmark's JSON line alone goes to stdout
        model = build_model(config)
        model.init_weights()
    return model


def dense_loss(network: str, *, batch: int, size: int) -> Callable[[nn.Module], Tensor]:
    """The loss of a model on one random batch, the same at each call."""
    make = _detection_batch if network.startswith("mask-rcnn") else _segmentation_batch
    torch.manual_seed(0)
    data = make(batch, size)

    def loss(model: nn.Module) -> Tensor:
        torch.manual_seed(0)  # samplers of regions draw the same ones
        prepared = model.data_preprocessor(data, training=True)
        return model.parse_losses(model(**prepared, mode="loss"))[0]

    return loss


def _detection_batch(batch: int, size: int) -> dict:
    from mmdet.testing import demo_mm_inputs

    return demo_mm_inputs(
        batch, [(3, size, size)] * batch, num_classes=80, num_items=[8] * batch, with_mask=True
    )


def _segmentation_batch(batch: int, size: int) -> dict:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(batch):
        labels = PixelData(data=torch.randint(0, 150, (1, size, size)))
        samples.append(SegDataSample(gt_sem_seg=labels, metainfo=dict(img_shape=(size, size))))
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=samples)
