"""Handlers of normalisation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from spikevision.conversion.handlers import handles
from spikevision.conversion.site import Site
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.operators import encode, scalar, spiking
from spikevision.conversion.stream import Stream


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
    return site.stream(sent, spiking(site), -1)


@handles(STAConfig, "group_norm")
def group_norm(
    site: Site,
    x: Stream,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Stream:
    """Layer normalisation of each group, with one encoder per channel behind scale and shift."""
    total = F.group_norm(site.mean(x), num_groups, weight, bias, eps) * site.t
    return site.stream(encode(site, "output", total, 1), spiking(site), 1)
