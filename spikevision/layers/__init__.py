"""Blocks on ``[T, N, C, H, W]``: convolutions, attention, residual shortcuts and their exact fusion."""

from spikevision.layers.attention import ATTENTIONS, MaskedSpikingAttention, SpikingSelfAttention
from spikevision.layers.blocks import (
    SpikingSequential,
    mlp_body,
    sep_conv_body,
    spiking_sep_conv_body,
)
from spikevision.layers.conv import ConvBN, DepthwiseBN, DepthwiseSeparableBN, RepConvBN, TimeFolded
from spikevision.layers.feature_spec import FeatureSpec
from spikevision.layers.fuse import fold_, fuse_
from spikevision.layers.pooling import SpikeMaxPool2d
from spikevision.layers.residual import SHORTCUTS, DropPath, SpikingResidual

__all__ = [
    "ATTENTIONS",
    "SHORTCUTS",
    "ConvBN",
    "DepthwiseBN",
    "DepthwiseSeparableBN",
    "DropPath",
    "FeatureSpec",
    "MaskedSpikingAttention",
    "RepConvBN",
    "SpikeMaxPool2d",
    "SpikingResidual",
    "SpikingSelfAttention",
    "SpikingSequential",
    "TimeFolded",
    "fold_",
    "fuse_",
    "mlp_body",
    "sep_conv_body",
    "spiking_sep_conv_body",
]
