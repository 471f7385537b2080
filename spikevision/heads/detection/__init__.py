"""Spiking heads for mmdet on ``[T, N, C, H, W]`` maps; losses, assigners, coders and NMS are mmdet's own.

dense.py      RPN, RetinaNet and FCOS heads
regions.py    box and mask heads on RoI features
roi.py        RoI extractor over all time steps, and the RoI heads that feed it
detectors.py  mmdet's detectors with their strides checked when they are built
"""

from spikevision.heads.detection.dense import SpikingFCOSHead, SpikingRetinaHead, SpikingRPNHead
from spikevision.heads.detection.detectors import check_strides
from spikevision.heads.detection.regions import SpikingBBoxHead, SpikingMaskHead
from spikevision.heads.detection.roi import (
    SpikingCascadeRoIHead,
    SpikingRoIExtractor,
    SpikingStandardRoIHead,
)

__all__ = [
    "SpikingBBoxHead",
    "SpikingCascadeRoIHead",
    "SpikingFCOSHead",
    "SpikingMaskHead",
    "SpikingRPNHead",
    "SpikingRetinaHead",
    "SpikingRoIExtractor",
    "SpikingStandardRoIHead",
    "check_strides",
]
