"""Calibration statistics: whole counts on one fixed grid, so that shards add up to the bit.

The grid is that of a small floating-point format: sign, exponent from 2^-12 to 2^12 and four bits of mantissa. It
depends on no data, so a value falls into the same bin whoever counts it, and merging is addition of integers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

__all__ = ["Histogram", "Statistics", "fingerprint"]

SCHEMA = "spikevision-calibration-1"
MANTISSA_BITS = 4
OCTAVES = 12
BINS = 2 * OCTAVES << MANTISSA_BITS  # per sign
_LOWEST = (127 - OCTAVES) << MANTISSA_BITS
_CHUNK = 1 << 22


@cache
def bin_edges() -> Tensor:
    """Edges ``[2 BINS + 1]`` of all bins in rising order, float64; the two bins around 0 touch it."""
    bits = (torch.arange(BINS + 1) + _LOWEST) << (23 - MANTISSA_BITS)
    magnitude = bits.int().view(torch.float32).double()
    magnitude[0] = 0.0
    return torch.cat([-magnitude.flip(0), magnitude[1:]])


def bin_of(x: Tensor) -> Tensor:
    """Number of the bin of each value; what lies outside the grid falls into its last bins."""
    bits = x.float().contiguous().view(torch.int32)
    magnitude = ((bits & 0x7FFFFFFF) >> (23 - MANTISSA_BITS)).sub_(_LOWEST).clamp_(0, BINS - 1)
    return torch.where(bits < 0, BINS - 1 - magnitude, BINS + magnitude)


@dataclass
class Histogram:
    """Counts of the values of one tap, by channel.

    Attributes:
        counts: ``[C, 2 BINS]`` int64.
        low: Least value of each channel, ``[C]`` float64.
        high: Greatest value of each channel.
        about: What is counted: the role of the tap and what its population needs to know. Text and numbers only.
    """

    counts: Tensor
    low: Tensor
    high: Tensor
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls, channels: int, about: dict[str, Any]) -> Histogram:
        """Nothing counted yet."""
        return cls(
            torch.zeros(channels, 2 * BINS, dtype=torch.int64),
            torch.full((channels,), torch.inf, dtype=torch.float64),
            torch.full((channels,), -torch.inf, dtype=torch.float64),
            about,
        )

    def add(self, x: Tensor, *, name: str) -> None:
        """Count values ``[A, C, B]``.

        Raises:
            ValueError: If one of them is not finite, or C differs from before.
        """
        channels = self.counts.shape[0]
        if x.shape[1] != channels:
            raise ValueError(
                f"{name} was calibrated with {channels} channels, now has {x.shape[1]}"
            )
        low, high = (x.amin((0, 2)), x.amax((0, 2)))
        if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
            raise ValueError(
                f"{name} holds values that are not finite: check the images, their normalisation and the weights"
            )
        self.low = torch.minimum(self.low, low.double().cpu())
        self.high = torch.maximum(self.high, high.double().cpu())
        offset = torch.arange(channels, device=x.device)[:, None] * (2 * BINS)
        rows = max(1, _CHUNK // max(1, x[0].numel()))
        for part in x.split(rows):
            index = (bin_of(part) + offset).flatten()
            found = torch.bincount(index, minlength=self.counts.numel())
            self.counts += found.view_as(self.counts).cpu()

    def merged(self, other: Histogram, *, name: str) -> Histogram:
        """Counts of both.

        Raises:
            ValueError: If they count different things.
        """
        if self.about != other.about or self.counts.shape != other.counts.shape:
            raise ValueError(f"the parts of the calibration disagree about {name}")
        return Histogram(
            self.counts + other.counts,
            torch.minimum(self.low, other.low),
            torch.maximum(self.high, other.high),
            self.about,
        )


@dataclass
class Statistics:
    """What calibration learnt about a model.

    Attributes:
        model: Fingerprint of the model.
        preprocessing: Description or fingerprint of what was done to the images.
        images: Number of images seen.
        taps: Histogram by tap, named as the module that will be made of it.
    """

    model: str
    preprocessing: str = ""
    images: int = 0
    taps: dict[str, Histogram] = field(default_factory=dict)

    @staticmethod
    def merge(parts: Iterable[Statistics]) -> Statistics:
        """Add up the statistics of shards; the order does not matter.

        Raises:
            ValueError: If there is none, or they belong to different models or preprocessing.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("there are no calibration statistics to merge")
        merged = Statistics(parts[0].model, parts[0].preprocessing)
        for part in parts:
            part.check(model=merged.model, preprocessing=merged.preprocessing)
            merged.images += part.images
            for name, histogram in part.taps.items():
                known = merged.taps.get(name)
                merged.taps[name] = known.merged(histogram, name=name) if known else histogram
        return merged

    def check(self, *, model: str, preprocessing: str) -> None:
        """Refuse use with another model or another preprocessing.

        Raises:
            ValueError: If either differs.
        """
        if self.model != model:
            raise ValueError(
                f"this calibration belongs to another model ({self.model}, this one is {model}): calibrate again, or "
                "load the weights that were calibrated"
            )
        if self.preprocessing != preprocessing:
            raise ValueError(
                f"this calibration was made with the preprocessing {self.preprocessing!r}, not {preprocessing!r}: "
                "calibrate again"
            )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; it holds numbers and text, no code."""
        tensors = {}
        for name, histogram in self.taps.items():
            tensors[f"{name}/counts"] = histogram.counts
            tensors[f"{name}/low"] = histogram.low
            tensors[f"{name}/high"] = histogram.high
        about = {
            "schema": SCHEMA,
            "model": self.model,
            "preprocessing": self.preprocessing,
            "images": self.images,
            "taps": {name: histogram.about for name, histogram in self.taps.items()},
        }
        save_file(tensors, path, metadata={"about": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read a file that ``save`` wrote.

        Raises:
            ValueError: If it is not such a file.
        """
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                if about["schema"] != SCHEMA:
                    raise KeyError(about["schema"])
                taps = {
                    name: Histogram(
                        about=tap, **{k: file.get_tensor(f"{name}/{k}") for k in _TENSORS}
                    )
                    for name, tap in about["taps"].items()
                }
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(
                f"{str(path)!r} is no calibration file of this version: {error}"
            ) from error
        return cls(about["model"], about["preprocessing"], about["images"], taps)


_TENSORS = ("counts", "low", "high")


def fingerprint(model: nn.Module) -> str:
    """Short hash of the names, shapes and values of all parameters and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in _tensors_of(model):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()
