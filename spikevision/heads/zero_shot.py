"""The zero-shot classifier of CLIP as an mmpretrain head: classes are vectors that their names gave."""

import math

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from spikevision.registry import MODELS

__all__ = ["ZeroShotClsHead"]


@MODELS.register_module()
class ZeroShotClsHead(ClsHead):
    """Cosine between the projected feature of an image and the embedding of every class, times a scale.

    The embeddings are weights like others: ``spikevision import`` computes them from names of classes and prompts with
    the text tower of a CLIP checkpoint, which is not needed any more afterwards.

    Args:
        num_classes: Number of classes.
        in_channels: Width of the image tower.
        embed_dims: Width of the space that images and texts share.
        **kwargs: Of mmpretrain's ``ClsHead``: ``loss``, ``topk``, ``cal_acc``, ``init_cfg``.

    Raises:
        ValueError: If ``num_classes`` is less than 1.

    Source: Radford et al., arXiv:2103.00020, section 3.1 and figure 3.
    """

    def __init__(self, num_classes: int, in_channels: int, embed_dims: int, **kwargs) -> None:
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.projection = nn.Linear(in_channels, embed_dims, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.class_embeddings: Tensor
        self.register_buffer("class_embeddings", torch.zeros(num_classes, embed_dims))

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits ``[N, classes]`` of class tokens ``[N, C]``, the last of ``feats``."""
        images = F.normalize(self.projection(feats[-1]), dim=-1)
        return self.logit_scale.exp() * images @ self.class_embeddings.t()
