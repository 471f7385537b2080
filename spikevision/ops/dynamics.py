"""One time step of each neuron: the only place where a neuron's equations are written.

Every step maps an input current and a membrane potential to spikes and the next membrane
potential: charge, fire, reset. The order of the operations is the published one, so that spikes
do not depend on who computes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikevision.ops.surrogate import spike


def fire_and_reset(
    h: Tensor,
    *,
    v_threshold: float,
    v_reset: float | None,
    detach_reset: bool,
    surrogate: str,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Fire where the charged potential reaches the threshold, then reset what fired.

    Args:
        h: Membrane potential after charging, any shape.
        v_threshold: Potential at which the neuron fires (``>=``).
        v_reset: Potential after a spike (hard reset), or None to subtract the threshold (soft).
        detach_reset: Whether the reset is a constant in the backward pass.
        surrogate: A key of :data:`spikevision.ops.SURROGATES`.
        alpha: Steepness of the surrogate.

    Returns:
        Spikes and the membrane potential after the reset, both of the shape of ``h``.
    """
    s = spike(h - v_threshold, surrogate, alpha)
    r = s.detach() if detach_reset else s
    if v_reset is None:
        return s, h - r * v_threshold
    kept = (1.0 - r) * h
    return s, kept + r * v_reset if v_reset else kept


def if_step(
    x: Tensor,
    v: Tensor,
    *,
    v_threshold: float,
    v_reset: float | None,
    detach_reset: bool,
    surrogate: str,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Integrate and fire: ``h = v + x``. Arguments as in :func:`fire_and_reset`."""
    return fire_and_reset(
        v + x,
        v_threshold=v_threshold,
        v_reset=v_reset,
        detach_reset=detach_reset,
        surrogate=surrogate,
        alpha=alpha,
    )


def lif_step(
    x: Tensor,
    v: Tensor,
    *,
    tau: float,
    decay_input: bool,
    v_threshold: float,
    v_reset: float | None,
    detach_reset: bool,
    surrogate: str,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Leaky integrate and fire.

    ``h = v + (x - (v - v_reset)) / tau`` with ``decay_input``, else
    ``h = v - (v - v_reset) / tau + x``; the rest potential is 0 under a soft reset. The other
    arguments are those of :func:`fire_and_reset`.

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        tau: Membrane time constant in time steps, more than 1.
        decay_input: Whether the input is divided by ``tau`` as well.

    Source:
        Fang et al., "Incorporating learnable membrane time constant ...", ICCV 2021, eq. 1-4.
    """
    leak = v - v_reset if v_reset else v
    h = v + (x - leak) / tau if decay_input else v - leak / tau + x
    return fire_and_reset(
        h,
        v_threshold=v_threshold,
        v_reset=v_reset,
        detach_reset=detach_reset,
        surrogate=surrogate,
        alpha=alpha,
    )


def parametric_lif_step(
    x: Tensor,
    v: Tensor,
    w: Tensor,
    *,
    decay_input: bool,
    v_threshold: float,
    v_reset: float | None,
    detach_reset: bool,
    surrogate: str,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Leaky integrate and fire whose time constant is learned: ``1 / tau = sigmoid(w)``.

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        w: The learned parameter, a tensor of no dimensions.
        decay_input: Whether the input is scaled by ``1 / tau`` as well.

    Source:
        Fang et al., "Incorporating learnable membrane time constant ...", ICCV 2021, eq. 7.
    """
    decay = torch.sigmoid(w)
    leak = v - v_reset if v_reset else v
    h = v + (x - leak) * decay if decay_input else v - leak * decay + x
    return fire_and_reset(
        h,
        v_threshold=v_threshold,
        v_reset=v_reset,
        detach_reset=detach_reset,
        surrogate=surrogate,
        alpha=alpha,
    )
