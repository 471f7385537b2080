"""Handlers of products, weight layers and maxima."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spikevision.conversion.handlers import handles
from spikevision.conversion.site import Site
from spikevision.conversion.sta.config import STAConfig
from spikevision.conversion.sta.operators import factor, spikes_of, varies
from spikevision.conversion.stream import Current, Stream


@handles(STAConfig, "matmul", "bmm", "mm")
def matmul(site: Site, a: Tensor, b: Tensor) -> Stream:
    """Product of two streams, or a weight layer where one factor is constant."""
    if varies(a) and varies(b):
        product = factor(site, "left", a) @ factor(site, "right", b) / site.t
        return site.stream(product)
    if varies(a):
        a = spikes_of(site, a, -1)
    elif varies(b):
        b = spikes_of(site, b, None)
    return _constant_product(site, torch.matmul, a, b)


@handles(STAConfig, "rmatmul")
def rmatmul(site: Site, b: Tensor, a: Tensor) -> Stream:
    """``a @ b`` as Python calls it on b where a is an ordinary tensor."""
    return matmul(site, a, b)


@handles(STAConfig, "einsum")
def einsum(site: Site, equation: str, *operands: Any) -> Stream:
    """Product of up to two streams in Einstein's notation."""
    if isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    number = sum(varies(x) for x in operands)
    if number > 2:
        raise ValueError(f"{site.name}: a product of {number} streams is not supported")
    totals = [factor(site, f"factor{i}", x) if varies(x) else x for i, x in enumerate(operands)]
    plain = [x.as_subclass(Tensor) for x in totals]
    return site.stream(torch.einsum(equation, *plain) / (site.t if number == 2 else 1))


@handles(STAConfig, "mul", "multiply")
def mul(site: Site, a: Any, b: Any) -> Stream:
    """Product of two streams element by element, or a scale."""
    if varies(a) and varies(b):
        return site.stream(factor(site, "left", a) * factor(site, "right", b) / site.t)
    return _constant_product(site, torch.mul, a, b)


def _constant_product(site: Site, function: Any, a: Any, b: Any) -> Stream:
    streams = [x for x in (a, b) if isinstance(x, Stream)]
    stream = next((x for x in streams if varies(x)), streams[0])
    keeps = function is torch.mul
    current = stream.current if keeps or stream.current is Current.DIRECT else Current.ANALOG
    axis = stream.channel_axis if keeps else -1
    a, b = (x.as_subclass(Tensor) if isinstance(x, Stream) else x for x in (a, b))
    return Stream.wrap(function(a, b), site.simulation, current, axis)


def _weight_layer(function: Any, channel_axis: int) -> Any:
    def layer(site: Site, x: Stream, weight: Tensor, *args: Any, **kwargs: Any) -> Stream:
        assert not isinstance(weight, Stream)
        current = Current.DIRECT if x.current is Current.DIRECT else Current.ANALOG
        spikes = spikes_of(site, x, channel_axis)
        value = function(spikes.as_subclass(Tensor), weight, *args, **kwargs)
        return Stream.wrap(value, site.simulation, current, channel_axis)

    return layer


handles(STAConfig, "linear")(_weight_layer(F.linear, -1))
for _name in ("conv1d", "conv2d", "conv3d"):
    handles(STAConfig, _name)(_weight_layer(getattr(F, _name), 1))
for _name in ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
    handles(STAConfig, _name)(_weight_layer(getattr(F, _name), 1))


def _on_mean(function: Any) -> Any:
    def exactly(site: Site, *args: Any, **kwargs: Any) -> Any:
        return site.on_mean(function, args, kwargs)

    return exactly


ON_MEANS = {"max_pool1d": F.max_pool1d, "max_pool2d": F.max_pool2d, "max_pool3d": F.max_pool3d}
for _name, _exact in {**ON_MEANS, "normalize": F.normalize}.items():
    handles(STAConfig, _name)(_on_mean(_exact))
