"""What a backbone says about one of its feature maps, so that necks and heads ask instead of being told."""

from typing import NamedTuple

__all__ = ["FeatureSpec"]


class FeatureSpec(NamedTuple):
    """One feature level.

    Attributes:
        channels: Number of channels C.
        stride: Image pixels per feature pixel, the true one.
    """

    channels: int
    stride: int
