"""Gradients reach every parameter of every shipped family of models, shrunk.

What is expected: after one training step's backward every parameter has a gradient, it is finite, and it is not zero
everywhere. A weight behind silent neurons would have the gradient zero, so the normalisations are scaled up (``enliven``)
until all neurons of an untrained network of a few channels fire.
"""

import pytest
import torch
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

DETECTORS = ("mask-rcnn", "cascade", "retinanet", "fcos")
SEGMENTORS = ("semantic_fpn", "upernet")
CLASSIFIERS = {
    "meta-spikeformer": dict(
        type="MetaSpikeFormer", arch=dict(embed_dims=(8, 16, 32, 40), num_heads=2), time_steps=2
    ),
    "e-spikeformer": dict(
        type="ESpikeFormer", arch=dict(embed_dims=(8, 16, 32, 40), num_heads=2), time_steps=2
    ),
    "spikformer": dict(
        type="Spikformer", arch=dict(embed_dims=32, depth=2, num_heads=2), time_steps=2
    ),
}


def enliven(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 3)
            nn.init.constant_(module.bias, 1)
    return model


def classifier_loss(name):
    pytest.importorskip("mmpretrain.models", reason="mmpretrain is not installed")
    from mmpretrain.structures import DataSample

    from spikevision.testing import build_classifier

    torch.manual_seed(0)
    model = enliven(build_classifier(CLASSIFIERS[name], 3, distillation_head=True)).train()
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    return model, model(torch.randn(2, 3, 64, 64), samples, mode="loss")["loss"]


def detector_loss(name):
    pytest.importorskip("mmdet.models", reason="mmdet is not installed")
    from tiny_detectors import batch, build, losses_of, shrunk, total

    model = build(shrunk(name)).train()
    if name == "fcos":  # tiny maps may be silent behind padding; a scale needs something to scale
        nn.init.constant_(model.bbox_head.conv_reg.layer.bias, 0.1)
    return model, total(losses_of(model, batch()))


def segmentor_loss(name):
    pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
    from tiny_segmentors import SEGMENTORS, batch, build, losses_of

    model = enliven(build(SEGMENTORS[name])).train()
    return model, losses_of(model, batch())[0]


@pytest.mark.parametrize(
    ("loss_of", "name"),
    [
        *((classifier_loss, name) for name in CLASSIFIERS),
        *((detector_loss, name) for name in DETECTORS),
        *((segmentor_loss, name) for name in SEGMENTORS),
    ],
)
def test_gradients_reach_every_parameter(loss_of, name):
    model, loss = loss_of(name)
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert [name for name, gradient in gradients.items() if not gradient.isfinite().all()] == []
    assert [name for name, gradient in gradients.items() if not gradient.any()] == []
