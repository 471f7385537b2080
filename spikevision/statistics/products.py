"""Operations of the matrix products of spiking attention, in the order in which they are computed.

The inner product adds where both of its operands spike, so its exact operations are gated by both. Its result is a
matrix of whole numbers that stands still while the spikes of the third operand select its rows, so the exact
operations of the outer product are the spikes of that operand times the numbers that each of them adds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spikevision.statistics.tensor_summary import Kind, SummaryCache

__all__ = ["ProductCount", "count_masked_product", "count_product"]


class ProductCount(NamedTuple):
    """One matrix product of one call.

    Attributes:
        name: Which product it is.
        kind: What the gating operands are.
        inputs: Values of the operand whose mean rate stands for the product in the papers.
        outputs: Values of the result.
        macs: Dense multiply-accumulates.
        spikes: Spikes of that operand at each time step; None where an operand is real.
        synops: Exact operations at each time step; None where an operand is real.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    macs: int
    spikes: list[int] | None = None
    synops: list[int] | None = None


def count_product(
    q: Tensor, k: Tensor, v: Tensor, *, cache: SummaryCache, slots: int = 1
) -> list[ProductCount]:
    """Both products of ``(Q K^T) V``; all operands ``[T, N, M, D, L]``.

    ``Q (K^T V)`` where there are more tokens than channels per head, else ``(Q K^T) V``, as
    :func:`spikevision.ops.attention.spiking_attention` computes them. Time steps may have ``slots`` (unrolled integer
    neurons); then a spike of one operand adds what the other has fired in the slots up to its own.
    """
    width, tokens = q.shape[-2:]
    value_width = v.shape[-2]
    heads = q.numel() // (width * tokens)
    if tokens > width:
        inner = _gated_by_both("k^T v", k, v, dim=-2, cache=cache, slots=slots)
        inner_size = heads * width * value_width
        outer = _gated_by_one("q (k^T v)", q, fan_out=value_width, cache=cache)
    else:
        inner = _gated_by_both("q k^T", k, q, dim=-1, cache=cache, slots=slots)
        inner_size = heads * tokens * tokens
        outer = _gated_by_one("(q k^T) v", v, fan_out=tokens, cache=cache)
    return [inner._replace(outputs=inner_size), outer._replace(outputs=v.numel())]


def count_masked_product(
    k: Tensor, v: Tensor, *, cache: SummaryCache, slots: int = 1
) -> list[ProductCount]:
    """The sum over tokens of ``K * V`` (SDSA-1); the mask that follows adds nothing."""
    kind, spikes = _read(k, cache)
    kind = max(kind, _read(v, cache)[0])
    count = ProductCount("sum k * v", kind, k.numel(), k.numel() // k.shape[-1], k.numel())
    if kind is Kind.REAL:
        return [count]
    return [count._replace(spikes=spikes, synops=_steps(_pairs(k.double(), v.double(), slots)))]


def _gated_by_both(
    name: str, a: Tensor, b: Tensor, *, dim: int, cache: SummaryCache, slots: int
) -> ProductCount:
    """Sum over the contracted index of (spikes of a there) x (spikes of b there).

    ``dim`` is the index that is not contracted, of both.
    """
    kind, spikes = _read(a, cache)
    kind = max(kind, _read(b, cache)[0])
    count = ProductCount(name, kind, a.numel(), 0, a.numel() * b.shape[dim])
    if kind is Kind.REAL:
        return count
    per_a, per_b = (x.sum(dim, dtype=torch.float32).double() for x in (a, b))
    return count._replace(spikes=spikes, synops=_steps(_pairs(per_a, per_b, slots)))


def _pairs(a: Tensor, b: Tensor, slots: int) -> Tensor:
    """Spikes of ``a`` times those of ``b``, of each slot of a time step with itself and all earlier ones."""
    if slots == 1:
        return a * b
    a, b = (x.unflatten(0, (slots, -1)) for x in (a, b))
    return (a * b.cumsum(0) + (a.cumsum(0) - a) * b).flatten(0, 1)


def _gated_by_one(name: str, a: Tensor, *, fan_out: int, cache: SummaryCache) -> ProductCount:
    kind, spikes = _read(a, cache)
    count = ProductCount(name, kind, a.numel(), 0, a.numel() * fan_out)
    if spikes is None:
        return count
    return count._replace(spikes=spikes, synops=[number * fan_out for number in spikes])


def _read(x: Tensor, cache: SummaryCache) -> tuple[Kind, list[int] | None]:
    """Kind of an operand and, unless it is real, its spikes at each time step."""
    summary = cache.summarise(x.flatten(0, 1), time_steps=x.shape[0])
    return summary.kind, None if summary.kind is Kind.REAL else summary.per_step()


def _steps(x: Tensor) -> list[int]:
    return [int(value) for value in x.flatten(1).sum(1).tolist()]
