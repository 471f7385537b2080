"""Every kind of model that conversion names, of the libraries' own classes, two layers deep."""

from collections.abc import Callable
from typing import Any

import torch
from tiny_tasks import ARCH, SWIN, build, mask_rcnn, vit_det
from torch import nn

NORM = {"type": "BN"}
PATCHES = {"img_size": 32, "patch_size": 8}
WINDOWS = {"embed_dims": 8, "depths": [2, 2], "num_heads": [2, 2]}


def classifier(type_: str, *, cls_token: bool = False, **backbone: Any) -> Callable[[], nn.Module]:
    """A classifier of mmpretrain on a class token or on the mean of the last map."""
    head = {"type": "LinearClsHead", "num_classes": 5, "in_channels": 16}
    config = {"type": "ImageClassifier", "backbone": {"type": type_, **backbone}, "head": head}
    if not cls_token:
        config["neck"] = {"type": "GlobalAveragePooling"}
    return lambda: build("mmpretrain", config)


def deit() -> nn.Module:
    """DeiT with its distillation token; the answer is the mean of both heads."""
    head = {"type": "DeiTClsHead", "num_classes": 5, "in_channels": 16}
    backbone = {"type": "DistilledVisionTransformer", "arch": ARCH, **PATCHES}
    return build("mmpretrain", {"type": "ImageClassifier", "backbone": backbone, "head": head})


def timm_vit(*, fused: bool) -> nn.Module:
    """timm's ViT: fused qkv, scaled dot products by torch or written out."""
    import timm

    size = {"embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 5}
    model = timm.create_model("vit_tiny_patch16_224", **PATCHES, **size)
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model


class TorchEncoder(nn.Module):
    """torch's own encoder layers behind a patch embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, 3, H, W]`` to ``[N, 16]``."""
        return self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1)


def torchvision_swin(version: int) -> nn.Module:
    """torchvision's Swin; the second version has cosine attention and a network for its biases."""
    from torchvision.models import SwinTransformer
    from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

    second = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    size = {"patch_size": [4, 4], "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2]}
    size |= {"window_size": [2, 2], "num_classes": 5}
    return SwinTransformer(**size, **(second if version == 2 else {}))


def segmentor(backbone: dict, head: dict, **more: Any) -> Callable[[], nn.Module]:
    """An encoder-decoder of mmsegmentation with three classes."""
    preprocessor = {"type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3}
    config = {"type": "EncoderDecoder", "data_preprocessor": preprocessor, "train_cfg": {}}
    config |= {"backbone": backbone, "test_cfg": {"mode": "whole"}, **more}
    config["decode_head"] = {"num_classes": 3, "dropout_ratio": 0.1, **head}
    return lambda: build("mmseg", config)


def upernet_head(channels: list[int]) -> dict[str, Any]:
    """UPerNet's head on maps of these channels."""
    levels = {"in_channels": channels, "in_index": list(range(len(channels)))}
    return {"type": "UPerHead", "pool_scales": (1, 2), "channels": 8, "norm_cfg": NORM, **levels}


SEG_VIT = {"type": "VisionTransformer", "img_size": (32, 32), "patch_size": 8, "embed_dims": 16}
SEG_VIT |= {"num_layers": 2, "num_heads": 2, "mlp_ratio": 2}
MASK_HEAD = {"type": "SegmenterMaskTransformerHead", "in_channels": 16, "channels": 16}
MASK_HEAD |= {"num_layers": 1, "num_heads": 2, "embed_dims": 16, "dropout_ratio": 0.0}
NECK = {"type": "MultiLevelNeck", "in_channels": [16, 16], "out_channels": 8, "scales": [2, 1]}
MIT = {"type": "MixVisionTransformer", "embed_dims": 8, "num_stages": 2, "num_layers": [1, 1]}
MIT |= {"num_heads": [1, 2], "patch_sizes": [7, 3], "strides": [4, 2], "sr_ratios": [2, 1]}
MIT |= {"out_indices": (0, 1), "mlp_ratio": 2}
MIT_HEAD = {"type": "SegformerHead", "in_channels": [8, 16], "in_index": [0, 1], "channels": 8}
FPN = {"type": "FPN", "in_channels": [8, 16], "out_channels": 8, "num_outs": 3, "norm_cfg": NORM}
SLIDE = {"mode": "slide", "crop_size": (32, 32), "stride": (16, 16)}


def detr() -> nn.Module:
    """DETR on a small ResNet."""
    attention = {"embed_dims": 16, "num_heads": 2, "dropout": 0.1, "batch_first": True}
    ffn = {"embed_dims": 16, "feedforward_channels": 32, "num_fcs": 2, "ffn_drop": 0.1}
    ffn["act_cfg"] = {"type": "ReLU", "inplace": True}
    layer = {"self_attn_cfg": attention, "ffn_cfg": ffn}
    backbone = {"type": "ResNet", "depth": 18, "base_channels": 8, "num_stages": 2}
    backbone |= {"strides": (1, 2), "dilations": (1, 1), "out_indices": (1,), "norm_cfg": NORM}
    neck = {"type": "ChannelMapper", "in_channels": [16], "kernel_size": 1, "out_channels": 16}
    config = {
        "type": "DETR",
        "num_queries": 5,
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [120.0] * 3,
            "std": [60.0] * 3,
        },
        "backbone": backbone,
        "neck": {**neck, "act_cfg": None, "norm_cfg": None, "num_outs": 1},
        "encoder": {"num_layers": 1, "layer_cfg": layer},
        "decoder": {
            "num_layers": 2,
            "layer_cfg": {**layer, "cross_attn_cfg": attention},
            "return_intermediate": True,
        },
        "positional_encoding": {"num_feats": 8, "normalize": True},
        "bbox_head": {"type": "DETRHead", "num_classes": 3, "embed_dims": 16},
        "train_cfg": None,
        "test_cfg": {"max_per_img": 5},
    }
    return build("mmdet", config)


def deformable_detr() -> nn.Module:
    """Deformable DETR with two levels and refined boxes on a small ResNet."""
    attention = {"embed_dims": 16, "num_heads": 2, "batch_first": True}
    deformable = {**attention, "num_levels": 2, "num_points": 2}
    layer = {"ffn_cfg": {"embed_dims": 16, "feedforward_channels": 32}}
    backbone = {"type": "ResNet", "depth": 18, "base_channels": 8, "num_stages": 2}
    backbone |= {"strides": (1, 2), "dilations": (1, 1), "out_indices": (0, 1), "norm_cfg": NORM}
    neck = {"type": "ChannelMapper", "in_channels": [8, 16], "kernel_size": 1, "out_channels": 16}
    losses = {"loss_cls": {"type": "FocalLoss"}, "loss_bbox": {"type": "L1Loss"}}
    losses["loss_iou"] = {"type": "GIoULoss"}
    config = {
        "type": "DeformableDETR",
        "num_queries": 5,
        "num_feature_levels": 2,
        "with_box_refine": True,
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [120.0] * 3,
            "std": [60.0] * 3,
        },
        "backbone": backbone,
        "neck": {
            **neck,
            "act_cfg": None,
            "norm_cfg": {"type": "GN", "num_groups": 4},
            "num_outs": 2,
        },
        "encoder": {"num_layers": 1, "layer_cfg": {**layer, "self_attn_cfg": deformable}},
        "decoder": {
            "num_layers": 2,
            "layer_cfg": {**layer, "self_attn_cfg": attention, "cross_attn_cfg": deformable},
            "return_intermediate": True,
            "post_norm_cfg": None,
        },
        "positional_encoding": {"num_feats": 8, "normalize": True, "offset": -0.5},
        "bbox_head": {"type": "DeformableDETRHead", "num_classes": 3, "embed_dims": 16, **losses},
        "train_cfg": None,
        "test_cfg": {"max_per_img": 5},
    }
    return build("mmdet", config)


LAST = {"out_indices": (1,), "img_size": 32}
MAP = {"arch": ARCH, "out_type": "featmap", **PATCHES}
DROPS = {"drop_rate": 0.1, "drop_path_rate": 0.2, "layer_scale_init_value": 0.1}
CLASSIFIERS: dict[str, Callable[[], nn.Module]] = {
    "ViT with dropout and layer scale": classifier("VisionTransformer", **MAP, **DROPS),
    "DeiT": deit,
    "Swin": classifier("SwinTransformer", arch=WINDOWS, window_size=2, **LAST),
    "Swin that pads": classifier(
        "SwinTransformer", arch=WINDOWS, window_size=3, pad_small_map=True, **LAST
    ),
    "Swin V2": classifier(
        "SwinTransformerV2",
        arch={**WINDOWS, "extra_norm_every_n_blocks": 0},
        window_size=2,
        **LAST,
    ),
    "BEiT": classifier("BEiTViT", **MAP, use_shared_rel_pos_bias=False),
    "timm ViT, fused": lambda: timm_vit(fused=True),
    "timm ViT, written out": lambda: timm_vit(fused=False),
    "torch encoder": TorchEncoder,
    "torchvision Swin": lambda: torchvision_swin(1),
    "torchvision Swin V2": lambda: torchvision_swin(2),
}
SEGMENTORS = {
    "ViT + UPerNet": segmentor({**SEG_VIT, "out_indices": (0, 1)}, upernet_head([8, 8]), neck=NECK),
    "Segmenter": segmentor({**SEG_VIT, "final_norm": True}, MASK_HEAD),
    "Segmenter that slides": segmentor({**SEG_VIT, "final_norm": True}, MASK_HEAD, test_cfg=SLIDE),
    "SegFormer": segmentor(MIT, {**MIT_HEAD, "norm_cfg": NORM}),
    "Swin + UPerNet": segmentor({**SWIN, "pretrain_img_size": 32}, upernet_head([8, 16])),
}
DETECTORS = {
    "ViTDet": vit_det,
    "Swin + Mask R-CNN": lambda: mask_rcnn(SWIN, FPN, [4, 8, 16]),
    "DETR": detr,
}
