"""Official weights under our names: one key map per family, every key accounted for."""

from spikevision.checkpoints.official import FAMILIES, convert_official, detect_family

__all__ = ["FAMILIES", "convert_official", "detect_family"]
