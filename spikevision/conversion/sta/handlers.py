"""What spatio-temporal approximation makes of the functions of a network.

All handlers are written on sums over time: ``X`` is the sum of a stream, ``X / t`` its mean. A product of two streams
is ``A B / t``, whose step is the estimation and correction of the paper in one (``A_t B_t`` telescopes), so its mean
is the product of the means at every step, exactly.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikevision.conversion.handlers import handles
from spikevision.conversion.simulation import Phase, Site
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.hinges import SCALARS, fit_hinges, reciprocal_hinges
from spikevision.conversion.stream import Current, Stream

__all__ = ["encode", "scalar"]


# --- what handlers are made of


def scalar(
    site: Site, tap: str, total: Tensor, name: str, channel_axis: int | None = None
) -> Tensor:
    """Sum of ``f`` of the mean, by a population of neurons or exactly.

    Args:
        site: The call.
        tap: Name of the population within it.
        total: Sum of the input.
        name: Key of :data:`spikevision.conversion.sta.hinges.SCALARS`.
        channel_axis: Axis of its channels, or None.
    """
    mean = total / site.t
    if site.config.operators == "exact":
        return SCALARS[name].function(mean) * site.t
    if site.phase is Phase.CALIBRATE:
        site.observe(tap, mean, channel_axis, {"role": "scalar", "function": name})
        return SCALARS[name].function(mean)
    population: Any = site.population(tap)
    if site.phase is Phase.ANALOG:
        return population.analog(mean)
    return population(total, site.memory(tap), site.t)


def encode(
    site: Site,
    tap: str,
    total: Tensor,
    channel_axis: int | None = None,
    *,
    signed: bool = True,
    feedback: bool = False,
) -> Tensor:
    """Sum of the spikes that carry a stream; the stream itself where the method has no neurons.

    Args:
        site: The call.
        tap: Name of the population within it.
        total: Sum of the stream.
        channel_axis: Axis of its channels, or None.
        signed: Whether values may be negative.
        feedback: Whether the neuron sees ``t mean_t`` less what it has sent, instead of the telescoped steps.
    """
    if site.config.neuron == "none" or site.phase is Phase.ANALOG:
        return total
    if site.phase is Phase.CALIBRATE:
        site.observe(tap, total, channel_axis, {"role": "encode", "signed": signed})
        return total
    memory = site.memory(tap)
    if feedback:
        total = memory.setdefault("drive", torch.zeros_like(total)).add_(total)
        if "sent" in memory:
            total.sub_(memory["sent"])
    sent = site.population(tap)(total, memory, site.t)
    if feedback:
        memory["sent"] = sent
    return sent


def _spiking(site: Site) -> Current:
    return Current.ANALOG if site.config.neuron == "none" else Current.SPIKES


def _factor(site: Site, tap: str, x: Tensor, channel_axis: int | None = None) -> Tensor:
    """Sum of a factor of a product, as spikes where the method wants that."""
    total = site.total(x, tap)
    wanted = site.config.encode_products and getattr(x, "current", None) is Current.ANALOG
    return encode(site, tap, total, channel_axis) if wanted else total


# --- activations


def _activation(site: Site, x: Stream, name: str) -> Stream:
    axis = x.channel_axis
    total = scalar(site, "hidden", site.total(x), name, axis)
    if site.config.operators == "exact":  # spikes leave an exact operator by an encoder
        total = encode(site, "output", total, axis)
    return site.stream(total, _spiking(site), axis)


@handles(STAConfig, "gelu")
def gelu(site: Site, x: Stream, approximate: str = "none") -> Stream:
    """GELU in both forms."""
    return _activation(site, x, "gelu_tanh" if approximate == "tanh" else "gelu")


def _named(name: str) -> Any:
    def activation(site: Site, x: Stream, *args: Any, **kwargs: Any) -> Stream:
        return _activation(site, x, name)

    return activation


for _name in ("silu", "mish", "sigmoid", "tanh", "hardswish"):
    handles(STAConfig, _name)(_named(_name))


@handles(STAConfig, "relu")
def relu(site: Site, x: Stream, inplace: bool = False) -> Stream:
    """One neuron per value and no operator."""
    total = encode(site, "output", site.total(x).relu(), x.channel_axis, signed=False)
    return site.stream(total, _spiking(site), x.channel_axis)


# --- normalisation


@handles(STAConfig, "layer_norm")
def layer_norm(
    site: Site,
    x: Stream,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Stream:
    """Centre, variance as a product of streams, inverse root, product, encoder, scale and shift."""
    dims = tuple(range(-len(normalized_shape), 0))
    total = site.total(x)
    centred = total - total.mean(dims, keepdim=True)
    variance = centred.square().mean(dims, keepdim=True) / site.t + eps * site.t
    inverse = scalar(site, "rsqrt", variance, "rsqrt")
    sent = encode(site, "normalised", centred * inverse / site.t, -1)
    if weight is not None:
        sent = sent * weight
    if bias is not None:
        sent = sent + bias * site.t
    return site.stream(sent, _spiking(site), -1)


# --- products


@handles(STAConfig, "matmul", "bmm", "mm")
def matmul(site: Site, a: Tensor, b: Tensor) -> Stream:
    """Product of two streams, or a weight layer where one factor is constant."""
    if _varies(a) and _varies(b):
        product = _factor(site, "left", a) @ _factor(site, "right", b) / site.t
        return site.stream(product)
    if _varies(a):
        a = _spikes_of(site, a, -1)
    elif _varies(b):
        b = _spikes_of(site, b, None)
    return _constant_product(site, torch.matmul, a, b)


@handles(STAConfig, "rmatmul")
def rmatmul(site: Site, b: Tensor, a: Tensor) -> Stream:
    """``a @ b`` as Python calls it on b where a is an ordinary tensor."""
    return matmul(site, a, b)


@handles(STAConfig, "mul", "multiply")
def mul(site: Site, a: Any, b: Any) -> Stream:
    """Product of two streams element by element, or a scale."""
    if _varies(a) and _varies(b):
        return site.stream(_factor(site, "left", a) * _factor(site, "right", b) / site.t)
    return _constant_product(site, torch.mul, a, b)


def _constant_product(site: Site, function: Any, a: Any, b: Any) -> Stream:
    streams = [x for x in (a, b) if isinstance(x, Stream)]
    stream = next((x for x in streams if _varies(x)), streams[0])
    keeps = function is torch.mul
    current = stream.current if keeps or stream.current is Current.DIRECT else Current.ANALOG
    axis = stream.channel_axis if keeps else -1
    a, b = (x.as_subclass(Tensor) if isinstance(x, Stream) else x for x in (a, b))
    return Stream.wrap(function(a, b), site.simulation, current, axis)


def _varies(x: Any) -> bool:
    return isinstance(x, Stream) and x.current is not Current.DIRECT


# --- weight layers


def _spikes_of(site: Site, x: Tensor, channel_axis: int | None) -> Tensor:
    """Input of a weight layer: analog currents are encoded, spikes and direct currents pass."""
    if not isinstance(x, Stream) or x.current is not Current.ANALOG or site.config.neuron == "none":
        return x
    total = encode(site, "input", site.total(x), channel_axis)
    return site.stream(total, _spiking(site), channel_axis, key="encoded")


def _weight_layer(function: Any, channel_axis: int) -> Any:
    def layer(site: Site, x: Stream, weight: Tensor, *args: Any, **kwargs: Any) -> Stream:
        assert not isinstance(weight, Stream)
        current = Current.DIRECT if x.current is Current.DIRECT else Current.ANALOG
        spikes = _spikes_of(site, x, channel_axis)
        value = function(spikes.as_subclass(Tensor), weight, *args, **kwargs)
        return Stream.wrap(value, site.simulation, current, channel_axis)

    return layer


handles(STAConfig, "linear")(_weight_layer(F.linear, -1))
for _name in ("conv1d", "conv2d", "conv3d"):
    handles(STAConfig, _name)(_weight_layer(getattr(F, _name), 1))
for _name in ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
    handles(STAConfig, _name)(_weight_layer(getattr(F, _name), 1))


# --- attention


@handles(STAConfig, "softmax")
def softmax(
    site: Site, x: Stream, dim: int, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Stream:
    """Softmax of the mean logits, encoded without sign, by head where there are heads."""
    probability = _softmax(site, site.mean(x), dim)
    axis = 1 if x.dim() == 4 and dim in (-1, 3) else None
    total = _encode_attention(site, probability, axis)
    return site.stream(total, _spiking(site), axis)


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
    """Softmax attention of streams ``[N, M, L, D]``; masks are constant and act on the mean logits."""
    if enable_gqa:
        raise ValueError(f"{site.name}: grouped-query attention is not supported")
    q, k, v = (
        _factor(site, tap, x, 1 if x.dim() == 4 else None)
        for tap, x in (("query", query), ("key", key), ("value", value))
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


# --- the rest


def _maximum(function: Any) -> Any:
    def max_pool(site: Site, *args: Any, **kwargs: Any) -> Any:
        return site.on_mean(function, args, kwargs)

    return max_pool


for _function in (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d):
    handles(STAConfig, _function.__name__)(_maximum(_function))


@handles(
    STAConfig,
    "mmpretrain.models.utils.clip_generator_helper.QuickGELU",
    "mmseg.models.text_encoder.clip_text_encoder.QuickGELU",
)
def quick_gelu(site: Site, module: nn.Module, x: Stream) -> Stream:
    """GELU of CLIP, ``x * sigmoid(1.702 x)``; the libraries have it as modules only."""
    return _activation(site, x, "quick_gelu")
