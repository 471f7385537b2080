"""A vision transformer of mmpretrain small enough to convert in a tenth of a second."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn


def tiny_vit(*, seed: int = 0, **backbone) -> nn.Module:
    """Two blocks of width 16, patches of 8 pixels, five classes; random weights of some size."""
    torch.manual_seed(seed)
    arch = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
    backbone = {
        "type": "VisionTransformer",
        "arch": arch,
        "img_size": 32,
        "patch_size": 8,
        **backbone,
    }
    head = {"type": "VisionTransformerClsHead", "num_classes": 5, "in_channels": 16}
    model = MODELS.build(
        {
            "type": "mmpretrain.ImageClassifier",
            "backbone": backbone,
            "head": head,
            "_scope_": "mmpretrain",
        }
    )
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    model.eval()
    return model


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


def snr_db(wanted: Tensor, found: Tensor) -> float:
    noise = (found - wanted).double().square().sum()
    return float(10 * torch.log10(wanted.double().square().sum() / noise.clamp(min=1e-300)))
