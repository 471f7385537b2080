"""Spiking necks: a backbone's ``[T, N, C, H, W]`` maps in, maps of one width out. For every mm library.

spiking_fpn.py   feature pyramid whose every convolution is driven by spikes
"""

from spikevision.necks.spiking_fpn import SpikingFPN

__all__ = ["SpikingFPN"]
