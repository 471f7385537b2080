"""Groups of neurons that stand for a scalar function or carry a value as spikes.

A population maps the sum of a stream to the sum of what it has sent. What it remembers is in the ``state`` that the
caller passes, a dictionary of one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.conversion.calibration import Histogram
from spikevision.conversion.site import by_channel
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.hinges import SCALARS, Hinges, fit_hinges
from spikevision.conversion.sta.neurons import multi_threshold_step
from spikevision.conversion.sta.thresholds import Moments, burst_thresholds, quantile_thresholds
from spikevision.ops import native

__all__ = [
    "BurstPopulation",
    "MultiThresholdPopulation",
    "Population",
    "fit_population",
    "make_population",
]

MOST_QUANTA = 32767  # counts are int16
TILE = 1 << 17  # values that stay in the cache while the units of a population see them


class Population(nn.Module):
    """Base class: sums in, sums out.

    Args:
        channel_axis: Axis of the channels in its input, or None for one setting for all values.
    """

    def __init__(self, channel_axis: int | None) -> None:
        super().__init__()
        self.channel_axis = channel_axis

    def analog(self, mean: Tensor) -> Tensor:
        """What the population stands for, without spikes."""
        raise NotImplementedError

    def forward(self, total: Tensor, state: dict[str, Any], t: int) -> Tensor:
        """Sum of what was sent up to step t, for the sum of the input up to then."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """What :func:`make_population` needs beside the thresholds, ready for JSON."""
        raise NotImplementedError


class BurstPopulation(Population):
    """``c + sum_j w_j n_j``: hinges whose rectifiers are signed burst neurons with memory.

    Args:
        hinges: The sum of hinges that it realises.
        thresholds: V of each unit and channel, ``[units, C]``; units of 0 never fire.
        channel_axis: Axis of the channels in its input, or None.
        burst: Half-size spikes per step, at most.
        start: Membrane potential at the start, in quanta of V / 2.
    """

    def __init__(
        self,
        hinges: Hinges,
        thresholds: Tensor,
        *,
        channel_axis: int | None,
        burst: int,
        start: float,
    ) -> None:
        super().__init__(channel_axis)
        self.hinges = hinges
        self.burst = burst
        self.start = start
        self.register_buffer("thresholds", thresholds.float())
        self.thresholds: Tensor

    def extra_repr(self) -> str:
        """Size, for ``print(model)``."""
        units, channels = self.thresholds.shape
        return f"units={units}, channels={channels}, burst={self.burst}, start={self.start}"

    def settings(self) -> dict[str, Any]:
        """All but the thresholds."""
        axis = {"channel_axis": self.channel_axis}
        return {"hinges": asdict(self.hinges), "burst": self.burst, "start": self.start, **axis}

    def analog(self, mean: Tensor) -> Tensor:
        """The sum of hinges."""
        return self.hinges(mean)

    def forward(self, total: Tensor, state: dict[str, Any], t: int) -> Tensor:
        """Sum of what was sent; see :class:`Population`."""
        x = by_channel(total, self.channel_axis).contiguous()
        limit = 2 + self.burst
        if t * limit > MOST_QUANTA:
            raise ValueError(
                f"burst neurons count to {MOST_QUANTA}: run at most {MOST_QUANTA // limit} steps"
            )
        if "count" not in state:
            shape = (len(self.hinges.kinks), *x.shape)
            state["count"] = torch.zeros(shape, dtype=torch.int16, device=x.device)
        if "events" in state:
            state["events"].begin(x, neurons=len(self.hinges.kinks))
        gain, value, kink = self._constants(x)
        offset = torch.addcmul(x.new_tensor(self.start), gain, kink, value=-t)
        out = torch.full_like(x, self.hinges.constant * t)
        if "events" not in state and native.has_kernels(x):
            sizes = _rows(x)
            native.call(
                "burst_step", x, out, state["count"], offset, gain, value, len(gain), *sizes, limit
            )
        else:
            self._plain_step(x, out, state, (offset, gain, value))
        return out.view(total.shape)

    def _plain_step(
        self, x: Tensor, out: Tensor, state: dict[str, Any], constants: tuple[Tensor, ...]
    ) -> None:
        """Plain twin of the kernel: the closed form of ``neurons.burst_step``, in buffers that stay in the cache."""
        count, (offset, gain, value) = state["count"], constants
        limit = float(2 + self.burst)
        tiles = _tiles(count.shape)
        scratch = x.new_empty(count[tiles[0]].numel())
        whole = scratch.to(torch.int32)
        for units, *tile in tiles:
            sent = count[(units, *tile)]
            drive = scratch[: sent.numel()].view(sent.shape)
            torch.addcmul(offset[units], x[tuple(tile)], gain[units], out=drive)
            drive.sub_(sent).clamp_(-limit, limit)
            # towards zero by way of whole numbers: trunc_ takes ten times as long
            quanta = whole[: sent.numel()].view(sent.shape).copy_(drive)
            before = sent.clone() if "events" in state else None
            sent.add_(quanta).clamp_(min=0)
            if before is not None:
                state["events"].add(sent - before, *tile)
            out[tuple(tile)].add_(torch.mul(sent, value[units], out=drive).sum(0))

    def _constants(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quanta per input, output per quantum and kink of each unit, ``[units, 1, C, 1]``; 0 for idle units."""
        quantum = self.thresholds.to(x.dtype)[:, None, :, None] / 2
        directions, weights, kinks = (
            x.new_tensor(values).view(-1, 1, 1, 1)
            for values in (self.hinges.directions, self.hinges.weights, self.hinges.kinks)
        )
        gain = torch.where(quantum > 0, directions / quantum, 0.0)
        return gain, quantum * weights, kinks


class MultiThresholdPopulation(Population):
    """Values as spikes of multi-threshold neurons, one per value.

    Args:
        thresholds: Largest threshold by channel, ``[C]``.
        channel_axis: Axis of the channels in its input, or None.
        levels: Number of thresholds.
        signed: Whether values may be negative.
        differential: Whether the receiver takes the mean of before for granted and spikes carry what has changed: at
            step t one of size s moves the mean by ``s / t``.
    """

    def __init__(
        self,
        thresholds: Tensor,
        *,
        channel_axis: int | None,
        levels: int,
        signed: bool,
        differential: bool = False,
    ) -> None:
        super().__init__(channel_axis)
        self.levels = levels
        self.signed = signed
        self.differential = differential
        self.register_buffer("thresholds", thresholds.float())
        self.thresholds: Tensor

    def extra_repr(self) -> str:
        """Size, for ``print(model)``."""
        return f"channels={len(self.thresholds)}, levels={self.levels}, signed={self.signed}"

    def settings(self) -> dict[str, Any]:
        """All but the thresholds."""
        names = ("channel_axis", "levels", "signed", "differential")
        return {name: getattr(self, name) for name in names}

    def analog(self, mean: Tensor) -> Tensor:
        """The value itself."""
        return mean

    def forward(self, total: Tensor, state: dict[str, Any], t: int) -> Tensor:
        """Sum of what was sent; see :class:`Population`."""
        x = by_channel(total, self.channel_axis).contiguous()
        if "sent" not in state:
            state["sent"] = torch.zeros_like(x)
        sent, thresholds = state["sent"], self.thresholds.to(x.dtype)
        keep = t / (t - 1) if self.differential and t > 1 else 1.0  # the mean of before, once more
        if "events" not in state and native.has_kernels(x):
            out = torch.empty_like(x)
            sizes = (*_rows(x), 1 - self.levels, int(self.signed))
            native.call(
                "multi_threshold_step", x, sent, out, thresholds, x.new_tensor([keep]), *sizes
            )
            return out.view(total.shape)
        sent.mul_(keep)
        before = sent.clone() if "events" in state else None
        multi_threshold_step(
            x, sent, thresholds.view(-1, 1), levels=self.levels, signed=self.signed
        )
        if before is not None:
            state["events"].begin(x, neurons=1)
            state["events"].add((sent - before).sign()[None])
        return sent.view(total.shape).clone()


def _rows(x: Tensor) -> tuple[int, int, int, int]:
    """Rows, their length, channels, and whether these lie along the rows, of ``[A, C, B]``."""
    a, c, b = x.shape
    return (a, c, c, 1) if b == 1 else (a * c, b, c, 0)


def _tiles(shape: torch.Size) -> list[tuple[slice, ...]]:
    """Cut ``[units, A, C, B]`` into pieces of about TILE values along all axes but C."""
    units, a, c, b = shape
    columns = max(1, min(b, TILE // max(1, c)))
    rows = max(1, min(a, TILE // max(1, c * columns)))
    group = max(1, min(units, TILE // max(1, c * columns * rows)))
    return [
        (slice(u, u + group), slice(i, i + rows), slice(None), slice(k, k + columns))
        for i in range(0, a, rows)
        for k in range(0, b, columns)
        for u in range(0, units, group)
    ]


IDENTITY = Hinges((0.0, 0.0), (1, -1), (1.0, -1.0), 0.0)  # the signed encoder
RECTIFIER = Hinges((0.0,), (1,), (1.0,), 0.0)  # the unsigned encoder, and ReLU


def fit_population(histogram: Histogram, config: STAConfig) -> Population:
    """The population of one tap.

    Args:
        histogram: What calibration counted there; its ``about`` says what the population is for.
        config: Settings of the conversion.
    """
    about = histogram.about
    axis = about["channel_axis"]
    if about["role"] == "encode" and config.neuron == "multi_threshold":
        thresholds = quantile_thresholds(histogram, config.quantile)
        return MultiThresholdPopulation(
            thresholds,
            channel_axis=axis,
            levels=config.levels,
            signed=about["signed"],
            differential=config.coding == "differential",
        )
    hinges = _hinges_of(histogram, config)
    moments = Moments(histogram)
    thresholds = torch.stack(
        [
            burst_thresholds(moments, kink=k, direction=d, config=config)
            for k, d in zip(hinges.kinks, hinges.directions, strict=True)
        ]
    )
    return BurstPopulation(
        hinges,
        thresholds,
        channel_axis=axis,
        burst=config.burst,
        start=0.5 if config.half_quantum_start else 0.0,
    )


def make_population(kind: str, thresholds: Tensor, settings: Mapping[str, Any]) -> Population:
    """A population from what its ``settings()`` gave.

    Args:
        kind: Name of its class.
        thresholds: Its thresholds, or a tensor of that shape.
        settings: The rest.

    Raises:
        ValueError: If there is no such class.
    """
    if kind == MultiThresholdPopulation.__name__:
        return MultiThresholdPopulation(thresholds, **settings)
    if kind != BurstPopulation.__name__:
        raise ValueError(f"there is no population {kind!r}: was it written by a later version?")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings["hinges"].items()
    }
    rest = {name: value for name, value in settings.items() if name != "hinges"}
    return BurstPopulation(Hinges(**values), thresholds, **rest)


def _hinges_of(histogram: Histogram, config: STAConfig) -> Hinges:
    about = histogram.about
    if about["role"] == "encode":
        return IDENTITY if about["signed"] else RECTIFIER
    name = about["function"]
    if SCALARS[name].domain is not None:
        return fit_hinges(name, config.activation_units)
    low = 0.7 * float(histogram.low.min())
    high = 1.4 * float(histogram.high.max())
    return fit_hinges(name, config.rsqrt_units, low, high)
