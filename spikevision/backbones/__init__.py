"""Spiking backbones: images or event frames in, a tuple of ``[T, N, C, H, W]`` feature maps out."""

from spikevision.backbones.base import SpikingBackbone
from spikevision.backbones.e_spikeformer import ESpikeFormer
from spikevision.backbones.meta_spikeformer import MetaSpikeFormer
from spikevision.backbones.spikformer import Spikformer

__all__ = ["ESpikeFormer", "MetaSpikeFormer", "SpikingBackbone", "Spikformer"]
