"""Handlers of activations."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from spikevision.conversion.handlers import handles
from spikevision.conversion.site import Site
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.operators import encode, scalar, spiking
from spikevision.conversion.stream import Stream


def _activation(site: Site, x: Stream, name: str) -> Stream:
    axis = x.channel_axis
    total = scalar(site, "hidden", site.total(x), name, axis)
    if site.config.operators == "exact":  # spikes leave an exact operator by an encoder
        total = encode(site, "output", total, axis)
    return site.stream(total, spiking(site), axis)


def _smooth(name: str) -> Any:
    def activation(site: Site, x: Stream, *args: Any, **kwargs: Any) -> Stream:
        return _activation(site, x, name)

    return activation


def _kinked(function: Any) -> Any:
    def activation(site: Site, x: Stream, *args: Any, **kwargs: Any) -> Stream:
        kwargs.pop("inplace", None)
        total = function(site.mean(x), *args, **kwargs) * site.t
        total = encode(site, "output", total, x.channel_axis)
        return site.stream(total, spiking(site), x.channel_axis)

    return activation


for _name in ("silu", "mish", "softplus", "sigmoid", "tanh", "hardswish"):
    handles(STAConfig, _name)(_smooth(_name))
for _kink in (F.leaky_relu, F.elu, F.celu, F.selu, F.relu6, F.hardtanh, F.hardsigmoid, F.prelu):
    handles(STAConfig, _kink.__name__)(_kinked(_kink))


@handles(STAConfig, "gelu")
def gelu(site: Site, x: Stream, approximate: str = "none") -> Stream:
    """GELU in both forms."""
    return _activation(site, x, "gelu_tanh" if approximate == "tanh" else "gelu")


@handles(STAConfig, "relu")
def relu(site: Site, x: Stream, inplace: bool = False) -> Stream:
    """One neuron per value and no operator."""
    total = encode(site, "output", site.total(x).relu(), x.channel_axis, signed=False)
    return site.stream(total, spiking(site), x.channel_axis)


@handles(
    STAConfig,
    "mmpretrain.models.utils.clip_generator_helper.QuickGELU",
    "mmseg.models.text_encoder.clip_text_encoder.QuickGELU",
)
def quick_gelu(site: Site, module: nn.Module, x: Stream) -> Stream:
    """GELU of CLIP, ``x * sigmoid(1.702 x)``; the libraries have it as modules only."""
    return _activation(site, x, "quick_gelu")
