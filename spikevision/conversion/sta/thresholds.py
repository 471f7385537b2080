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

CANDIDATES = 24  # the published search has 95, which differ by less than the bins of the counts


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


def _powers_beyond(
    moments: Moments, kink: float, direction: int, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Count of ``h = relu(direction (x - kink))`` above ``start`` ``[C, K]``, and its sums of h and h^2 there."""
    beyond = moments.beyond(kink + direction * start)
    if direction < 0:
        beyond = moments.above[:, :1] - beyond
    count, total, square = beyond.unbind(-1)
    spread = square - 2 * kink * total + kink * kink * count
    return count, direction * (total - kink * count), spread


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
    fractions = 1 - (0.04 if matched else 0.02) * torch.arange(CANDIDATES, dtype=torch.float64)
    ceiling = reach[:, None] * fractions
    level = ceiling / (4 * steps if matched else steps)
    first = level / 2 if matched else level  # below it, nothing is sent
    _, _, all_squares = _powers_beyond(moments, kink, direction, torch.zeros_like(ceiling[:, :1]))
    count, _, squares = _powers_beyond(moments, kink, direction, first)
    clipped, clipped_sum, clipped_squares = _powers_beyond(moments, kink, direction, ceiling)
    silent = (all_squares - squares).clamp(min=0)
    clipping = clipped_squares - 2 * ceiling * clipped_sum + ceiling**2 * clipped
    rounding = level**2 * (1 / 12 if matched else 1 / 3)
    error = silent + rounding * (count - clipped) + clipping.clamp(min=0)
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
