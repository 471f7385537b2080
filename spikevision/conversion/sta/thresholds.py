"""Thresholds from calibration counts.

A population of hinges sees ``h = relu(d (x - k))`` of the tapped value x, so the thresholds of all its units follow
from the counts of x alone. Sums over h beyond a point are differences of the cumulative counts, sums and sums of
squares of x, with values spread evenly inside each bin of the calibration grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikevision.conversion.calibration import Histogram, bin_edges
from spikevision.conversion.sta.config import STAConfig

__all__ = ["Moments", "burst_thresholds", "quantile_thresholds"]

CANDIDATES = 95


class Moments:
    """Number, sum and sum of squares of the values above a point, by channel."""

    def __init__(self, histogram: Histogram) -> None:
        self.low, self.high = histogram.low, histogram.high
        edges = bin_edges()
        # the outer bins reach to the least and greatest value seen
        below = torch.cat([edges[:1], edges[1:-1], edges[-1:]])[None].repeat(len(self.low), 1)
        below[:, 0] = torch.minimum(below[:, 0], self.low)
        below[:, -1] = torch.maximum(below[:, -1], self.high)
        self.edges = below
        counts = histogram.counts.double()
        a, b = below[:, :-1], below[:, 1:]
        parts = torch.stack(
            [counts, counts * (a + b) / 2, counts * (a * a + a * b + b * b) / 3], -1
        )
        above = parts.flip(1).cumsum(1).flip(1)
        self.above = torch.cat([above, torch.zeros_like(above[:, :1])], 1)

    def beyond(self, point: Tensor) -> Tensor:
        """``[C, K, 3]``: count, sum, sum of squares of the values above ``point`` ``[C, K]``."""
        edges = self.edges
        point = point.clamp(edges[:, :1], edges[:, -1:])
        index = torch.searchsorted(edges.contiguous(), point.contiguous()).clamp(
            1, edges.shape[1] - 1
        )
        upper = edges.gather(1, index)
        lower = edges.gather(1, index - 1)
        three = (-1, -1, 3)
        after = self.above.gather(1, index[..., None].expand(three))
        inside = self.above.gather(1, (index - 1)[..., None].expand(three)) - after
        share = (upper - point) / (upper - lower)
        mean = (upper + point) / 2
        square = (upper * upper + upper * point + point * point) / 3
        count = inside[..., 0] * share
        return after + torch.stack([count, count * mean, count * square], -1)


def _hinge_squares(moments: Moments, kink: Tensor, direction: int, start: Tensor) -> Tensor:
    """Count, and sum of ``(h - start)^2``, where ``h = relu(direction (x - kink)) > start``; ``[C, K, 2]``."""
    point = kink + direction * start
    count, total, square = moments.beyond(point).unbind(-1)
    if direction < 0:
        everything = moments.above[:, :1].expand(*point.shape, 3)
        below = everything - torch.stack([count, total, square], -1)
        count, total, square = below.unbind(-1)
    spread = square - 2 * point * total + point * point * count
    return torch.stack([count, spread.clamp_(min=0)], -1)


def burst_thresholds(moments: Moments, *, kink: float, direction: int, config: STAConfig) -> Tensor:
    """Threshold V of one unit ``relu(direction (x - kink))``, by channel; 0 where it is never active.

    Minimises the squared error of what the neuron can send in ``threshold_steps`` steps: levels of ``V / T`` up to
    ``V``, rounded down (``mse``, the published search), or levels of ``V / 2T`` up to ``2 V``, rounded to the nearest
    (``matched``, the burst neuron's own transfer).

    Returns:
        ``[C]`` float64.
    """
    steps = config.threshold_steps
    assert steps is not None
    reach = moments.high - kink if direction > 0 else kink - moments.low
    reach = reach.clamp(min=0)
    matched = config.threshold == "matched"
    falling = torch.arange(CANDIDATES, dtype=torch.float64)
    fractions = 1 - (0.01 if matched else 0.005) * falling
    ceiling = reach[:, None] * fractions
    level = ceiling / (4 * steps if matched else steps)
    first = level / 2 if matched else level  # below it, nothing is sent
    origin = torch.full_like(ceiling, kink)
    beyond_0, beyond_first, beyond_top = (
        _hinge_squares(moments, origin, direction, start)
        for start in (torch.zeros_like(ceiling), first, ceiling)
    )
    # sum of h^2 for h > first, from that of (h - first)^2 and the sum of (h - first)
    count, squares = beyond_first.unbind(-1)
    point = origin + direction * first
    number, total, _ = moments.beyond(point).unbind(-1)
    if direction < 0:
        total = moments.above[:, :1, 1] - total
        number = moments.above[:, :1, 0] - number
    linear = (direction * (total - point * number)).clamp(min=0)
    silent = beyond_0[..., 1] - (squares + 2 * first * linear + first**2 * count)
    rounding = level**2 * (1 / 12 if matched else 1 / 3)
    error = silent.clamp(min=0) + rounding * (count - beyond_top[..., 0]) + beyond_top[..., 1]
    best = ceiling.gather(1, error.argmin(1, keepdim=True))[:, 0]
    return best / 2 if matched else best


def quantile_thresholds(histogram: Histogram, quantile: float) -> Tensor:
    """Magnitude that a share ``quantile`` of the values does not exceed, by channel; ``[C]`` float64."""
    counts = histogram.counts
    half = counts.shape[1] // 2
    magnitude = counts[:, half:] + counts[:, :half].flip(1)
    share = magnitude.cumsum(1).double() / magnitude.sum(1, keepdim=True).clamp(min=1)
    index = (share < quantile).sum(1).clamp(max=half - 1)
    largest = torch.maximum(histogram.high.abs(), histogram.low.abs())
    return torch.minimum(bin_edges()[half + 1 :][index], largest)
