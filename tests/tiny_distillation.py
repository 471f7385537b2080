"""Configs of a tiny spiking student and of a tiny teacher."""

import torch
from mmengine.registry import MODELS

CLASSES = 5
PREPROCESSOR = dict(mean=[127.5] * 3, std=[64.0] * 3, to_rgb=False, num_classes=CLASSES)
STUDENT = dict(
    type="ImageClassifier",
    backbone=dict(
        type="spikevision.MetaSpikeFormer",
        arch=dict(embed_dims=(8, 8, 16, 16), num_heads=1, depths=(1, 1)),
        time_steps=2,
        neuron=dict(type="LIF", v_threshold=0.5),
    ),
    head=dict(type="spikevision.SpikingClsHead", num_classes=CLASSES, in_channels=16),
    data_preprocessor=PREPROCESSOR,
)
TEACHER = dict(
    type="ImageClassifier",
    backbone=dict(type="MobileNetV2", widen_factor=0.1, out_indices=(4, 6)),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=CLASSES,
        in_channels=32,
        loss=dict(type="CrossEntropyLoss"),
    ),
    data_preprocessor=PREPROCESSOR,
)


def save_weights(config: dict, path) -> str:
    torch.manual_seed(1)
    model = MODELS.build(config)
    for module in model.modules():  # every buffer has a value of its own
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)
