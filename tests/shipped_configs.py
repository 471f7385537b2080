"""What the tests of the shipped configs share."""

import torch
from mmengine.registry import DefaultScope

from spikevision.jobs.runtime import build_model


def build(config):
    """The model of a config, without memory for its weights."""
    with DefaultScope.overwrite_default_scope(config.default_scope), torch.device("meta"):
        return build_model(config)


def parameters(module):
    """Number of parameters."""
    return sum(p.numel() for p in module.parameters())
