"""What tests, benchmarks and users share: ready-built models."""

from spikevision.heads.classification import build_classifier

__all__ = ["build_classifier"]
