"""Scalar functions as sums of hinges (rectified linear units), fitted without training.

``g(x) = c + sum_j w_j relu(d_j (x - k_j))`` with directions ``d_j`` of +1 right of an anchor and -1 left of it. The
kinks stand where equal shares of ``|f''|^(2/5) weight^(1/5)`` lie, which is asymptotically best for a piecewise linear
least-squares fit; output weights follow by least squares with the slopes beyond the outermost kinks held at those of
the function. The anchor stands where the function is straight or flat, so that what the hinges add up is small where
the function is small: 0 for activations (two units there carry the straight line), the upper end of the domain for
``1 / x`` and ``1 / sqrt(x)``, whose hinges then all have the same sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["SCALARS", "Hinges", "Scalar", "fit_hinges", "reciprocal_hinges"]

GRID = 8192


@dataclass(frozen=True)
class Scalar:
    """A scalar function and where it is fitted.

    Attributes:
        function: The function.
        slopes: Its slopes far to the left and far to the right.
        domain: Interval of the fit, or None where calibration gives it.
        logarithmic: Whether the grid is logarithmic and the error relative, for falling functions of what is positive.
    """

    function: Callable[[Tensor], Tensor]
    slopes: tuple[float, float]
    domain: tuple[float, float] | None
    logarithmic: bool = False


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


SCALARS: dict[str, Scalar] = {
    "gelu": Scalar(F.gelu, (0, 1), (-10, 10)),
    "gelu_tanh": Scalar(partial(F.gelu, approximate="tanh"), (0, 1), (-10, 10)),
    "quick_gelu": Scalar(_quick_gelu, (0, 1), (-10, 10)),
    "silu": Scalar(F.silu, (0, 1), (-12, 12)),
    "mish": Scalar(F.mish, (0, 1), (-12, 12)),
    "softplus": Scalar(F.softplus, (0, 1), (-12, 12)),
    "sigmoid": Scalar(torch.sigmoid, (0, 0), (-12, 12)),
    "tanh": Scalar(torch.tanh, (0, 0), (-8, 8)),
    "hardswish": Scalar(F.hardswish, (0, 1), (-4, 4)),
    "exp": Scalar(torch.exp, (0, 0), (-12, 0)),
    "rsqrt": Scalar(torch.rsqrt, (0, 0), None, True),
    "reciprocal": Scalar(torch.reciprocal, (0, 0), None, True),
}


@dataclass(frozen=True)
class Hinges:
    """The fitted sum, as plain numbers.

    Attributes:
        kinks: ``k_j``.
        directions: ``d_j``, +1 or -1.
        weights: ``w_j``.
        constant: ``c``.
    """

    kinks: tuple[float, ...]
    directions: tuple[int, ...]
    weights: tuple[float, ...]
    constant: float

    def __call__(self, x: Tensor) -> Tensor:
        """Value of the sum at each element of ``x``, by table look-up."""
        edges, slopes, offsets = self._pieces(x.dtype)
        piece = torch.bucketize(x, edges.to(x.device))
        return torch.addcmul(offsets.to(x.device)[piece], slopes.to(x.device)[piece], x)

    def _pieces(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        return _pieces(self, dtype)


@cache
def _pieces(hinges: Hinges, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Edges of the straight pieces, and slope and offset of each piece."""
    k = torch.tensor(hinges.kinks, dtype=torch.float64)
    d = torch.tensor(hinges.directions, dtype=torch.float64)
    w = torch.tensor(hinges.weights, dtype=torch.float64)
    edges = k.unique()
    inside = torch.cat([edges[:1] - 1, (edges[1:] + edges[:-1]) / 2, edges[-1:] + 1])
    active = ((inside[:, None] - k) * d > 0).double() * w * d
    return edges.to(dtype), active.sum(1).to(dtype), (hinges.constant - active @ k).to(dtype)


@cache
def fit_hinges(
    name: str, units: int, low: float | None = None, high: float | None = None
) -> Hinges:
    """Fit a function of :data:`SCALARS`.

    Args:
        name: Its key.
        units: Number of hinges, at least 6.
        low: Lower end of the domain, where the function does not fix it.
        high: Upper end.

    Returns:
        The same hinges for the same arguments, always.
    """
    scalar = SCALARS[name]
    if scalar.domain is not None:
        low, high = scalar.domain
    assert low is not None
    assert high is not None
    assert low < high
    assert units >= 6
    x = _grid(scalar, low, high)
    y = scalar.function(x)
    weight = 1 / (y**2 * x) if scalar.logarithmic else torch.ones_like(x)
    weight = weight * torch.gradient(x)[0]  # the grid need not be even
    anchor = high if scalar.logarithmic else 0.0
    extra = (
        [low, high] if scalar.logarithmic else [anchor, anchor]
    )  # the slope breaks off at both ends
    kinks = torch.cat([_kinks(x, y, weight, units - 2), torch.tensor(extra, dtype=torch.float64)])
    directions = torch.where(kinks >= anchor, 1, -1)
    directions[-1] = -1  # of the pair at the anchor
    weights, constant = _least_squares(x, y, weight, kinks, directions, scalar.slopes)
    return Hinges(
        tuple(kinks.tolist()), tuple(directions.tolist()), tuple(weights.tolist()), constant
    )


def reciprocal_hinges(units: int, keys: int) -> Hinges:
    """``1 / s`` for the sum of up to ``keys`` exponentials of which the largest is 1."""
    return fit_hinges("reciprocal", units, 0.99, max(2.0, float(keys)) * 1.01)


def _grid(scalar: Scalar, low: float, high: float) -> Tensor:
    if scalar.logarithmic:
        return torch.logspace(math.log10(low), math.log10(high), GRID, dtype=torch.float64)
    return torch.linspace(low, high, GRID, dtype=torch.float64)


def _kinks(x: Tensor, y: Tensor, weight: Tensor, number: int) -> Tensor:
    """Points that cut ``integral |f''|^(2/5) weight^(1/5) dx`` into equal shares."""
    step = torch.gradient(x)[0]
    curvature = torch.gradient(torch.gradient(y, spacing=(x,))[0], spacing=(x,))[0]
    share = (curvature.abs() ** 0.4 * (weight / step) ** 0.2 * step).cumsum(0)
    wanted = (torch.arange(number, dtype=torch.float64) + 0.5) / number * share[-1]
    index = torch.searchsorted(share, wanted).clamp(1, len(x) - 1)
    before, after = share[index - 1], share[index]
    part = ((wanted - before) / (after - before)).nan_to_num(0.5)
    return x[index - 1] + part * (x[index] - x[index - 1])


def _least_squares(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    kinks: Tensor,
    directions: Tensor,
    slopes: tuple[float, float],
) -> tuple[Tensor, float]:
    """Output weights and constant of the best weighted fit with these slopes far outside.

    The outermost hinge of each direction follows from the others and the slope, so it is taken out of the fit.
    """
    hinges = torch.relu((x[:, None] - kinks) * directions)
    outermost = {}  # direction -> its outermost hinge
    for direction in set(directions.tolist()):
        mine = torch.where(directions == direction, kinks * direction, -torch.inf)
        outermost[direction] = int(mine.argmax())
    outer = torch.tensor([outermost[direction] for direction in directions.tolist()])
    free = [j for j in range(len(kinks)) if j not in outermost.values()]
    basis = torch.cat([(hinges - hinges[:, outer])[:, free], torch.ones_like(x)[:, None]], 1)
    slope = {-1: -slopes[0], 1: slopes[1]}  # what the weights of a direction add up to
    target = y - sum(slope[direction] * hinges[:, j] for direction, j in outermost.items())
    root = weight.sqrt()[:, None]
    scale = (basis * root).norm(dim=0)
    found = torch.linalg.lstsq(basis * root / scale, target[:, None] * root, driver="gelsd")
    solution = found.solution[:, 0] / scale
    weights = torch.zeros(len(kinks), dtype=torch.float64)
    weights[free] = solution[:-1]
    for direction, j in outermost.items():
        weights[j] = slope[direction] - weights[directions == direction].sum()
    return weights, float(solution[-1])
