"""Detectors and segmentors of the mm libraries, small enough to convert in a second; random weights of some size."""

from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
PLAIN = {
    "type": "mmpretrain.VisionTransformer",
    "arch": ARCH,
    "img_size": 32,
    "patch_size": 8,
    "with_cls_token": False,
    "out_type": "featmap",
}
SWIN = {
    "type": "SwinTransformer",
    "embed_dims": 8,
    "depths": (2, 2),
    "num_heads": (2, 2),
    "window_size": 2,
    "strides": (4, 2),
    "out_indices": (0, 1),
}


def build(library: str, config: dict[str, Any], *, seed: int = 0) -> nn.Module:
    """A model of one of the libraries in eval mode."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope(library):
        model = MODELS.build(ConfigDict(config))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    model.eval()
    return model


def mask_rcnn(backbone: dict, neck: dict, strides: list[int], *, channels: int = 8) -> nn.Module:
    """Mask R-CNN that keeps its three best boxes, whatever their score."""
    anchors = {"type": "AnchorGenerator", "scales": [2], "ratios": [1.0], "strides": strides}
    coder = {"type": "DeltaXYWHBBoxCoder"}
    extractor = {"type": "SingleRoIExtractor", "out_channels": channels, "featmap_strides": strides}
    roi_head = {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": {**extractor, "roi_layer": {"type": "RoIAlign", "output_size": 3}},
        "bbox_head": {
            "type": "Shared2FCBBoxHead",
            "in_channels": channels,
            "fc_out_channels": 12,
            "roi_feat_size": 3,
            "num_classes": 2,
            "bbox_coder": coder,
        },
        "mask_roi_extractor": {**extractor, "roi_layer": {"type": "RoIAlign", "output_size": 4}},
        "mask_head": {
            "type": "FCNMaskHead",
            "num_convs": 1,
            "in_channels": channels,
            "conv_out_channels": 6,
            "num_classes": 2,
        },
    }
    nms = {"type": "nms", "iou_threshold": 0.7}
    rcnn = {"score_thr": 0.0, "nms": nms, "max_per_img": 3, "mask_thr_binary": 0.5}
    config = {
        "type": "MaskRCNN",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [120.0] * 3,
            "std": [60.0] * 3,
            "pad_size_divisor": 16,
        },
        "backbone": backbone,
        "neck": neck,
        "rpn_head": {
            "type": "RPNHead",
            "in_channels": channels,
            "feat_channels": channels,
            "anchor_generator": anchors,
            "bbox_coder": coder,
        },
        "roi_head": roi_head,
        "train_cfg": None,
        "test_cfg": {"rpn": {"nms_pre": 20, "max_per_img": 6, "nms": nms}, "rcnn": rcnn},
    }
    return build("mmdet", config)


def vit_det() -> nn.Module:
    """ViTDet: a plain ViT of mmpretrain, a simple feature pyramid and Mask R-CNN."""
    neck = {
        "type": "spikevision.SimpleFeaturePyramid",
        "in_channels": 16,
        "out_channels": 8,
        "scales": (2, 1, 0.5),
        "num_outs": 3,
    }
    return mask_rcnn(PLAIN, neck, [4, 8, 16])


def detection_data(*sizes: tuple[int, int], seed: int = 0) -> dict[str, list]:
    """A batch as mmdet's dataloader yields it, of images ``(height, width)``."""
    from mmdet.structures import DetDataSample

    return _data(DetDataSample, sizes, seed)


def segmentation_data(*sizes: tuple[int, int], seed: int = 0) -> dict[str, list]:
    """A batch as mmsegmentation's dataloader yields it."""
    from mmseg.structures import SegDataSample

    return _data(SegDataSample, sizes, seed)


def _data(
    sample: type[BaseDataElement], sizes: tuple[tuple[int, int], ...], seed: int
) -> dict[str, list]:
    random = np.random.default_rng(seed)
    inputs, samples = [], []
    for i, size in enumerate(sizes):
        inputs.append(torch.from_numpy(random.integers(0, 256, (3, *size), dtype=np.uint8)))
        meta = {"img_id": i, "ori_shape": size, "img_shape": size, "scale_factor": (1.0, 1.0)}
        samples.append(sample(metainfo=meta))
    return {"inputs": inputs, "data_samples": samples}
