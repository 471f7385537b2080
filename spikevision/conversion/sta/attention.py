"""Handlers of softmax attention: the softmax alone, scaled dot products, and torch's module."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikevision.conversion.handlers import handles
from spikevision.conversion.site import Phase, Site
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.hinges import fit_hinges, reciprocal_hinges
from spikevision.conversion.sta.operators import encode, encodes, spiking
from spikevision.conversion.stream import Stream


@handles(STAConfig, "softmax")
def softmax(
    site: Site, x: Stream, dim: int, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Stream:
    """Softmax of the mean logits, encoded without sign, by head where there are heads."""
    probability = _softmax(site, site.mean(x), dim)
    axis = 1 if x.dim() == 4 and dim in (-1, 3) else None
    total = _encode_attention(site, probability, axis)
    return site.stream(total, spiking(site), axis)


@handles(STAConfig, "scaled_dot_product_attention")
def scaled_dot_product_attention(
    site: Site,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Stream:
    """Softmax attention of streams ``[..., M, L, D]``; masks are constant and act on the mean logits."""
    if enable_gqa:
        raise ValueError(f"{site.name}: grouped-query attention is not supported")
    q, k, v = (
        _heads(site, tap, x) for tap, x in (("query", query), ("key", key), ("value", value))
    )
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    logits = q @ k.mT * (scale / site.t**2)
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            logits = logits.masked_fill(~attn_mask, -torch.inf)
        else:
            logits = logits + attn_mask
    probability = _softmax(site, logits, -1)
    sent = _encode_attention(site, probability, 1 if logits.dim() == 4 else None)
    return site.stream(sent @ v / site.t)


def _heads(site: Site, tap: str, x: Tensor) -> Tensor:
    """Sum of queries, keys or values ``[..., M, L, D]``, encoded by head and channel."""
    total = site.total(x, tap)
    if not encodes(site, x):
        return total
    tokens = total.transpose(-3, -2)  # heads beside their channels
    sent = encode(site, tap, tokens.flatten(-2), -1)
    return sent.unflatten(-1, tokens.shape[-2:]).transpose(-3, -2)


def _softmax(site: Site, logits: Tensor, dim: int) -> Tensor:
    """Softmax by the row maximum; exponential and reciprocal are sums of hinges where operators are."""
    if site.config.operators == "exact" or site.phase is Phase.CALIBRATE:
        return logits.softmax(dim)
    shifted = logits - logits.amax(dim, keepdim=True)
    power = fit_hinges("exp", site.config.exp_units)(shifted.clamp(min=-13.0)).clamp_(min=0)
    power = power.masked_fill(shifted == -torch.inf, 0.0)
    inverse = reciprocal_hinges(site.config.reciprocal_units, logits.shape[dim])
    return power * inverse(power.sum(dim, keepdim=True))


def _encode_attention(site: Site, probability: Tensor, axis: int | None) -> Tensor:
    feedback = site.config.softmax_feedback and site.config.neuron == "burst"
    return encode(site, "probability", probability * site.t, axis, signed=False, feedback=feedback)


@handles(STAConfig, "multi_head_attention_forward")
def multi_head_attention(
    site: Site,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, None]:
    """``torch.nn.MultiheadAttention``: its projections and heads around softmax attention.

    Streams are ``[L, N, C]`` or ``[L, C]``, as torch hands them over. Attention weights are not answered.
    """
    if bias_k is not None or add_zero_attn or static_k is not None or static_v is not None:
        raise ValueError(f"{site.name}: bias_k, add_zero_attn and static keys are not supported")
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases: Any = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    unbatched = query.dim() == 2
    heads: list[Tensor] = []
    for x, weight, bias in zip((query, key, value), weights, biases, strict=True):
        projected = F.linear(x[:, None] if unbatched else x, weight, bias)  # [L, N, C]
        heads.append(projected.unflatten(-1, (num_heads, -1)).permute(1, 2, 0, 3))
    mask = _attention_mask(attn_mask, key_padding_mask, num_heads)
    q, k, v = heads
    causal = is_causal and mask is None
    answer = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    answer = F.linear(answer.permute(2, 0, 1, 3).flatten(2), out_proj_weight, out_proj_bias)
    return (answer[:, 0] if unbatched else answer), None


def _attention_mask(mask: Tensor | None, padding: Tensor | None, heads: int) -> Tensor | None:
    """One additive mask ``[N or 1, M or 1, L, S]`` of both masks of torch, in which True means: do not look."""

    def additive(x: Tensor) -> Tensor:
        if x.dtype != torch.bool:
            return x
        return torch.zeros(x.shape, device=x.device).masked_fill(x, -torch.inf)

    parts = []
    if mask is not None:
        mask = additive(mask)
        parts.append(mask.unflatten(0, (-1, heads)) if mask.dim() == 3 else mask)
    if padding is not None:
        parts.append(additive(padding)[..., None, None, :])
    return sum(parts[1:], parts[0]) if parts else None
