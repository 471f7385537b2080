"""One time step of each neuron: the only place where a neuron's equations are written.

Every step maps an input current and a membrane potential to spikes and the next membrane
potential: charge, fire, reset. The order of the operations is the published one, so that spikes
do not depend on who computes them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikevision.ops.surrogate import heaviside, with_surrogate_gradient


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
    u = h - v_threshold
    fired = heaviside(u)
    s = with_surrogate_gradient(fired, u, surrogate, alpha)
    # Not s.detach(): compiled, the potential would wait for the smooth curve of every step, and
    # the backward pass take 1.5 times as long.
    r = fired if detach_reset else s
    if v_reset is None:
        return s, h - r * v_threshold
    kept = (1.0 - r) * h
    return s, kept + r * v_reset if v_reset else kept


def if_step(x: Tensor, v: Tensor, **fire: Any) -> tuple[Tensor, Tensor]:
    """Integrate and fire: ``h = v + x``.

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        **fire: Threshold, reset and surrogate, see :func:`fire_and_reset`.

    Returns:
        Spikes and the membrane potential after the step, both of the shape of ``x``.
    """
    return fire_and_reset(v + x, **fire)


def lif_step(
    x: Tensor, v: Tensor, *, tau: float, decay_input: bool, **fire: Any
) -> tuple[Tensor, Tensor]:
    """Leaky integrate and fire.

    ``h = v + (x - (v - v_reset)) / tau`` with ``decay_input``, else
    ``h = v - (v - v_reset) / tau + x``. Under a soft reset the potential leaks towards 0.

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        tau: Membrane time constant in time steps, more than 1.
        decay_input: Whether the input is divided by ``tau`` as well.
        **fire: Threshold, reset and surrogate, see :func:`fire_and_reset`.

    Returns:
        Spikes and the membrane potential after the step, both of the shape of ``x``.

    Source:
        Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning of
        Spiking Neural Networks", ICCV 2021.
    """
    above = _above_rest(v, fire["v_reset"])
    h = v + (x - above) / tau if decay_input else v - above / tau + x
    return fire_and_reset(h, **fire)


def parametric_lif_step(
    x: Tensor, v: Tensor, w: Tensor, *, decay_input: bool, **fire: Any
) -> tuple[Tensor, Tensor]:
    """Leaky integrate and fire with a learned time constant, ``1 / tau = sigmoid(w)``.

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        w: The learned parameter, a tensor of no dimensions.
        decay_input: Whether the input is scaled by ``1 / tau`` as well.
        **fire: Threshold, reset and surrogate, see :func:`fire_and_reset`.

    Returns:
        Spikes and the membrane potential after the step, both of the shape of ``x``.

    Source:
        As :func:`lif_step`.
    """
    decay = torch.sigmoid(w)
    above = _above_rest(v, fire["v_reset"])
    h = v + (x - above) * decay if decay_input else v - above * decay + x
    return fire_and_reset(h, **fire)


def _above_rest(v: Tensor, v_reset: float | None) -> Tensor:
    return v - v_reset if v_reset else v
