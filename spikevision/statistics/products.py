"""Operations of the matrix products of spiking attention, in the order in which they are computed.

The inner product adds where both of its operands spike, so its exact operations are gated by both. Its result is a
matrix of whole numbers that stands still while the spikes of the third operand select its rows, so the exact
operations of the outer product are the spikes of that operand times the numbers that each of them adds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spikevision.statistics.tensor_summary import Kind, TensorSummary

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
    spikes: list[int] | None
    synops: list[int] | None


def count_product(q: Tensor, k: Tensor, v: Tensor) -> list[ProductCount]:
    """Both products of ``(Q K^T) V``; all operands ``[T, N, M, D, L]``.

    ``Q (K^T V)`` where there are more tokens than channels per head, else ``(Q K^T) V``, as
    :func:`spikevision.ops.attention.spiking_attention` computes them.
    """
    width, tokens = q.shape[-2:]
    value_width = v.shape[-2]
    if tokens > width:
        inner = _gated_by_both("k^T v", k, v, dim=-2, result=width * value_width)
        outer = _gated_by_one("q (k^T v)", q, fan_out=value_width, result=value_width * tokens)
    else:
        inner = _gated_by_both("q k^T", k, q, dim=-1, result=tokens * tokens)
        outer = _gated_by_one("(q k^T) v", v, fan_out=tokens, result=value_width * tokens)
    return [inner, outer]


def count_masked_product(k: Tensor, v: Tensor) -> list[ProductCount]:
    """The sum over tokens of ``K * V`` (SDSA-1); the mask that follows adds nothing."""
    kind = max(_kind(k), _kind(v))
    exact = None if kind is Kind.REAL else _steps(k.double() * v.double())
    spikes = None if kind is Kind.REAL else _steps(k)
    outputs = k.numel() // k.shape[-1]
    return [ProductCount("sum k * v", kind, k.numel(), outputs, k.numel(), spikes, exact)]


def _gated_by_both(name: str, a: Tensor, b: Tensor, *, dim: int, result: int) -> ProductCount:
    """Sum over the contracted index of (spikes of a there) x (spikes of b there); ``dim`` is the other index."""
    heads = a.numel() // (a.shape[-1] * a.shape[-2])
    macs = a.numel() * b.shape[dim]
    kind = max(_kind(a), _kind(b))
    if kind is Kind.REAL:
        return ProductCount(name, kind, a.numel(), heads * result, macs, None, None)
    per_a, per_b = (x.sum(dim, dtype=torch.float64) for x in (a, b))
    return ProductCount(
        name, kind, a.numel(), heads * result, macs, _steps(per_a), _steps(per_a * per_b)
    )


def _gated_by_one(name: str, a: Tensor, *, fan_out: int, result: int) -> ProductCount:
    heads = a.numel() // (a.shape[-1] * a.shape[-2])
    kind = _kind(a)
    spikes = None if kind is Kind.REAL else _steps(a)
    synops = None if spikes is None else [count * fan_out for count in spikes]
    return ProductCount(name, kind, a.numel(), heads * result, a.numel() * fan_out, spikes, synops)


def _kind(x: Tensor) -> Kind:
    x = x.contiguous()
    return TensorSummary(x, block=x.shape[-1]).kind


def _steps(x: Tensor) -> list[int]:
    return [int(value) for value in x.flatten(1).sum(1, dtype=torch.float64).tolist()]
