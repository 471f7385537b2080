"""What handlers are made of: scalar functions and encoders, on sums over time.

``X`` is the sum of a stream up to the current step, ``X / t`` its mean. A product of two streams is ``A B / t``, whose
step is the estimation and correction of the paper in one (``A_t B_t`` telescopes), so its mean is the product of the
means at every step, exactly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikevision.conversion.site import Phase, Site
from spikevision.conversion.sta.hinges import SCALARS
from spikevision.conversion.stream import Current, Stream

__all__ = ["encode", "encodes", "factor", "scalar", "spikes_of", "spiking", "varies"]


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
    if site.phase is Phase.ANALOG or site.config.neuron == "none":
        return population.analog(mean) * site.t
    sent = population(total, site.memory(tap), site.t)
    site.sent(tap, total, operator=True)
    return sent


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
    site.sent(tap, total)
    if feedback:
        memory["sent"] = sent
    return sent


def spiking(site: Site) -> Current:
    """What flows out of an encoder."""
    return Current.ANALOG if site.config.neuron == "none" else Current.SPIKES


def factor(site: Site, tap: str, x: Tensor, channel_axis: int | None = None) -> Tensor:
    """Sum of a factor of a product, as spikes where the method wants that."""
    total = site.total(x, tap)
    return encode(site, tap, total, channel_axis) if encodes(site, x) else total


def encodes(site: Site, x: Tensor) -> bool:
    """Whether the method wants a factor of a product as spikes."""
    return bool(site.config.encode_products and getattr(x, "current", None) is Current.ANALOG)


def spikes_of(site: Site, x: Tensor, channel_axis: int | None) -> Tensor:
    """Input of a weight layer: analog currents are encoded, spikes and direct currents pass."""
    if not isinstance(x, Stream) or x.current is not Current.ANALOG or site.config.neuron == "none":
        return x
    total = encode(site, "input", site.total(x), channel_axis)
    return site.stream(total, spiking(site), channel_axis, key="encoded")


def varies(x: Any) -> bool:
    """Whether it changes from step to step."""
    return isinstance(x, Stream) and x.current is not Current.DIRECT
