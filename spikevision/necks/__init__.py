"""Necks: a backbone's maps in, maps of one width out. For every mm library.

spiking_fpn.py              feature pyramid whose every convolution is driven by spikes, on ``[T, N, C, H, W]``
simple_feature_pyramid.py   pyramid of plain vision transformers, an ordinary network to be converted
"""

from spikevision.necks.simple_feature_pyramid import SimpleFeaturePyramid
from spikevision.necks.spiking_fpn import SpikingFPN

__all__ = ["SimpleFeaturePyramid", "SpikingFPN"]
