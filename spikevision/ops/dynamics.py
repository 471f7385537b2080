"""One time step of each neuron: the only place where a neuron's equations are written.

Every step maps an input current and a membrane potential to spikes and the next membrane
potential: charge, fire, reset. The order of the operations is the published one, so that spikes
do not depend on who computes them.

Each step has a twin in :data:`IN_PLACE` that does the same, and its derivatives, in buffers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikevision.ops.integer_dynamics import InPlaceIntegerStep, integer_lif_step
from spikevision.ops.recurrence import state_dtype
from spikevision.ops.surrogate import SLOPES, heaviside, with_surrogate_gradient


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


@dataclass(frozen=True)
class InPlaceStep:
    """One step of the neurons above and its reverse, written into buffers that the caller owns.

    All of them charge alike: ``h = v + drive / tau``, plus ``x`` where the input does not decay.
    Nothing is recorded by autograd, so call it under ``torch.no_grad()``.

    Attributes:
        v_threshold: As for :func:`fire_and_reset`; so are the next four.
        v_reset: See ``v_threshold``.
        detach_reset: See ``v_threshold``.
        surrogate: See ``v_threshold``.
        alpha: See ``v_threshold``.
        decay: ``1 / tau``, a number or a tensor of no dimensions; None for no leak.
        tau: What to divide by, if that is how the step is written; else it multiplies by ``decay``.
        decay_input: Whether the input decays as well.
    """

    v_threshold: float
    v_reset: float | None
    detach_reset: bool
    surrogate: str
    alpha: float
    decay: Tensor | float | None = None
    tau: float | None = None
    decay_input: bool = False

    def drive(self, x: Tensor, v: Tensor, out: Tensor) -> Tensor:
        """What ``1 / tau`` multiplies: ``x - (v - v_reset)``, or ``-(v - v_reset)``."""
        above = torch.sub(v, self.v_reset, out=out) if self.v_reset else v
        return torch.sub(x, above, out=out) if self.decay_input else torch.neg(above, out=out)

    def charge(self, x: Tensor, v: Tensor, out: Tensor) -> Tensor:
        """Potential ``h`` after charging, in the published order of operations."""
        if self.decay is None:
            return torch.add(v, x, out=out)
        drive = self.drive(x, v, out)
        h = (drive.mul_(self.decay) if self.tau is None else drive.div_(self.tau)).add_(v)
        return h if self.decay_input else h.add_(x)

    def fire_and_reset(self, h: Tensor, s: Tensor, v: Tensor) -> None:
        """Write spikes to ``s`` and the potential after the reset to ``v``."""
        torch.ge(h, self.v_threshold, out=s)
        if self.v_reset is None:
            torch.sub(h, s, alpha=self.v_threshold, out=v)
            return
        torch.addcmul(h, h, s, value=-1.0, out=v)
        if self.v_reset:
            v.add_(s, alpha=self.v_reset)

    def reverse_fire(
        self, h: Tensor, grad_s: Tensor, grad: Tensor, slope: Tensor, kept: Tensor
    ) -> None:
        """Turn the gradient of the potential after the reset into that of ``h``, in place.

        Args:
            h: Potential after charging; overwritten.
            grad_s: Gradient of the spikes.
            grad: Gradient of the potential after the reset; becomes the gradient of ``h``.
            slope: Buffer like ``h``; so is ``kept``.
            kept: See ``slope``.
        """
        SLOPES[self.surrogate](torch.sub(h, self.v_threshold, out=slope), self.alpha)
        if self.v_reset is not None:
            torch.lt(h, self.v_threshold, out=kept)
        if not self.detach_reset:  # a spike also moves the potential: dv/ds times its gradient
            if self.v_reset is None:
                moved = torch.mul(grad, -self.v_threshold, out=h)
            else:
                moved = h.neg_().add_(self.v_reset).mul_(grad)
            grad_s = moved.add_(grad_s)
        if self.v_reset is not None:
            grad.mul_(kept)
        grad.addcmul_(grad_s, slope)

    def reverse_charge(self, grad: Tensor, grad_x: Tensor) -> None:
        """Write the gradient of ``x``; turn that of ``h`` into that of ``v`` before, in place."""
        if self.decay is not None and self.decay_input:
            torch.mul(grad, self.decay, out=grad_x)
        else:
            grad_x.copy_(grad)
        if self.decay is not None:
            grad.mul_(1.0 - self.decay)

    def reverse_decay(self, grad: Tensor) -> Tensor:
        """Gradient of ``w`` from that of ``1 / tau = sigmoid(w)``."""
        assert isinstance(self.decay, Tensor)
        return grad * self.decay * (1.0 - self.decay)


def _lif_in_place(*, tau: float, decay_input: bool, **fire: Any) -> InPlaceStep:
    return InPlaceStep(decay=1.0 / tau, tau=tau, decay_input=decay_input, **fire)


def _parametric_lif_in_place(w: Tensor, *, decay_input: bool, **fire: Any) -> InPlaceStep:
    decay = torch.sigmoid(w.detach())
    return InPlaceStep(decay=decay.to(state_dtype(w)), decay_input=decay_input, **fire)


IN_PLACE: dict[
    Callable[..., tuple[Tensor, Tensor]], Callable[..., InPlaceStep | InPlaceIntegerStep]
] = {
    if_step: InPlaceStep,
    integer_lif_step: InPlaceIntegerStep,
    lif_step: _lif_in_place,
    parametric_lif_step: _parametric_lif_in_place,
}
"""Makers of the in-place twins, ``maker(*params, **settings)``, by step."""
