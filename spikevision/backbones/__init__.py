"""Spiking backbones: images or event frames in, a tuple of ``[T, N, C, H, W]`` feature maps out."""

from spikevision.backbones.base import SpikingBackbone
from spikevision.backbones.meta_spikeformer import MetaSpikeFormer
from spikevision.backbones.spikformer import Spikformer

__all__ = ["MetaSpikeFormer", "SpikingBackbone", "Spikformer"]
