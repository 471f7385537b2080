"""One tiny deployed network for all tests of this folder."""

import json
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from spikevision.deploy import CARD, DeploySettings, build_artefact
from spikevision.testing import build_classifier


class Made(NamedTuple):
    """A trained network, images, and the artefact made of it."""

    network: nn.Module
    images: Tensor
    folder: Path


def tiny_network() -> nn.Module:
    """A Spikformer of one block, T=2, whose normalisations are far from their defaults."""
    torch.manual_seed(0)
    backbone = dict(
        type="Spikformer",
        variant="cifar",
        arch=dict(embed_dims=16, depth=1, num_heads=2),
        time_steps=2,
        neuron=dict(type="LIF", v_threshold=0.3),
    )
    network = build_classifier(backbone, 5).eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.2, 0.6)
            layer.bias.normal_(std=0.3)
    return network


def make(folder: Path, **settings) -> Made:
    network, images = tiny_network(), torch.randn(4, 3, 16, 16)
    card = build_artefact(network, images, folder, DeploySettings(batch=2, **settings))
    (folder / CARD).write_text(json.dumps(card))
    return Made(network, images, folder)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(tmp_path_factory.mktemp("float32"))


@pytest.fixture(scope="session")
def made_int8(tmp_path_factory: pytest.TempPathFactory) -> Made:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(tmp_path_factory.mktemp("int8"), weights="int8")
