"""The head of CLIP: cosines times a scale."""

import math

import pytest
import torch

from spikevision.heads.zero_shot import ZeroShotClsHead


def test_logits_are_cosines_times_the_scale():
    head = ZeroShotClsHead(num_classes=3, in_channels=2, embed_dims=2)
    with torch.no_grad():
        head.projection.weight.copy_(torch.eye(2))
        head.logit_scale.fill_(math.log(10))
        head.class_embeddings.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]))
    found = head((torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])))  # the last level counts
    torch.testing.assert_close(found, torch.tensor([[6.0, 8.0, 10.0]]))


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        ZeroShotClsHead(num_classes=0, in_channels=2, embed_dims=2)
