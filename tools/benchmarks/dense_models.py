"""A detector and a segmenter as the benchmark of inference takes them: whole mm models on random pictures."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.deployed import DeployedBackbone, network_of
from spikevision.jobs.runtime import build_model

CONFIGS = Path(__file__).parents[2] / "configs"
DENSE_MODELS = {
    "mask-rcnn-15m": "detection/mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco.py",
    "semantic-fpn-15m": "segmentation/semantic-fpn_meta-spikeformer-15m_t4_4xb4-160k_ade20k-512x512.py",
}
PROPOSALS = 100  # of an untrained detector, so that the regions do not outweigh all else


def build_dense(name: str, *, time_steps: int) -> nn.Module:
    """One of :data:`DENSE_MODELS` with random weights, in eval mode."""
    torch.manual_seed(0)
    config = load_config(str(CONFIGS / DENSE_MODELS[name]))
    config.model.backbone.update(time_steps=time_steps, init_cfg=None)
    if "rpn_head" in config.model:
        config.model.test_cfg.rpn.max_per_img = PROPOSALS
    init_default_scope(task_of(config).scope)
    model = build_model(config).eval().requires_grad_(False)
    MMLogger.get_current_instance().setLevel("WARNING")  # a line for every weight otherwise
    model.init_weights()
    return model


def pictures(name: str, batch: int, size: int) -> dict[str, Any]:
    """Random pictures with what a data loader says of them."""
    facts = dict(
        img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size),
        scale_factor=(1.0, 1.0), padding_size=[0, 0, 0, 0],
    )  # fmt: skip
    inputs = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(batch)]
    return {"inputs": inputs, "data_samples": [_sample(name)(metainfo=facts) for _ in inputs]}


def _sample(name: str) -> type:
    if name.startswith("mask-rcnn"):
        from mmdet.structures import DetDataSample as Sample
    else:
        from mmseg.structures import SegDataSample as Sample
    return Sample


def deployable(model: nn.Module) -> nn.Module:
    """Backbone and neck as one network, images to features."""
    return network_of(model, "dense")


def prepared(model: Any, batch: dict[str, Any]) -> Tensor:
    """The pictures as the network gets them."""
    return model.data_preprocessor(copy.deepcopy(batch), False)["inputs"]


def around(model: nn.Module, network: nn.Module, time_steps: int) -> nn.Module:
    """The model with a deployed network in the place of backbone and neck."""
    model = copy.deepcopy(model)
    model.backbone = DeployedBackbone(network, time_steps)
    if getattr(model, "with_neck", False):
        model.neck = None
    return model
