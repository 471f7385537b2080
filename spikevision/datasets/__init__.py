"""Datasets: small real sets that are prepared locally, event frames, and the transforms that load samples."""

from spikevision.datasets.event_frames import EventFrameFolder, LoadEventFrames, PackEventFrames
from spikevision.datasets.loading import SafeLoadImage

__all__ = ["EventFrameFolder", "LoadEventFrames", "PackEventFrames", "SafeLoadImage"]
