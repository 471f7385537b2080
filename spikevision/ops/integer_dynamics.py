"""One time step of the integer neuron, and its twin in place; see :mod:`spikevision.ops.dynamics`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDINGS = ("half_even", "half_up")
WINDOWS = ("inclusive", "strict")


def round_counts(u: Tensor, *, levels: int, rounding: str) -> Tensor:
    """Whole numbers 0 to ``levels`` nearest to ``u``; without a gradient.

    Args:
        u: Membrane potential in units of the threshold, any shape.
        levels: Largest number of spikes D.
        rounding: What happens halfway between two whole numbers: ``half_even`` or ``half_up``.
    """
    clipped = u.detach().clamp(0, levels)
    return clipped.round() if rounding == "half_even" else (clipped + 0.5).floor()


def integer_lif_step(
    x: Tensor,
    v: Tensor,
    *,
    levels: int,
    decay: float,
    v_threshold: float,
    rounding: str,
    window: str,
    normalise: bool,
    detach_reset: bool,
) -> tuple[Tensor, Tensor]:
    """Leaky integration, up to D spikes at once, soft reset.

    ``h = decay * v + x``, ``S = round(clip(h / v_threshold, 0, D))``, ``v = h - S * v_threshold``. The gradient of
    ``S`` is that of ``h / v_threshold`` where this lies in the window 0..D, else 0 (straight through).

    Args:
        x: Input current of this time step.
        v: Membrane potential before it, of the shape of ``x``.
        levels: Largest number of spikes D in one time step.
        decay: What is left of the potential after one time step, 0 to 1.
        v_threshold: Potential that one spike stands for.
        rounding: See :func:`round_counts`.
        window: Whether 0 and D themselves belong to the window: ``inclusive`` or ``strict``.
        normalise: Whether to hand on ``S / D`` instead of ``S``.
        detach_reset: Whether the reset is a constant in the backward pass.

    Returns:
        Numbers of spikes (divided by D if ``normalise``) and the membrane potential after the step.

    Source:
        Luo et al., "Integer-Valued Training and Spike-Driven Inference Spiking Neural Network" (SpikeYOLO), ECCV
        2024, arXiv:2407.20708; at T = 1 the spike firing approximation of Yao et al., Spike-driven Transformer V3,
        arXiv:2411.16061.
    """
    h = v * decay + x
    u = h / v_threshold
    fired = round_counts(u, levels=levels, rounding=rounding)
    s = fired
    if torch.is_grad_enabled():
        inclusive = window == "inclusive"
        inside = (u >= 0) & (u <= levels) if inclusive else (u > 0) & (u < levels)
        smooth = torch.where(inside, u, 0.0)
        s = fired + (smooth - smooth.detach())
    v = h - (fired if detach_reset else s) * v_threshold
    return (s / levels if normalise else s), v


@dataclass(frozen=True)
class InPlaceIntegerStep:
    """:func:`integer_lif_step` and its reverse in buffers that the caller owns; call it under ``torch.no_grad()``.

    Its methods are those of :class:`spikevision.ops.dynamics.InPlaceStep`, its attributes the settings of the step.
    """

    levels: int
    decay: float
    v_threshold: float
    rounding: str
    window: str
    normalise: bool
    detach_reset: bool

    def charge(self, x: Tensor, v: Tensor, out: Tensor) -> Tensor:
        """Potential ``h`` after charging."""
        return torch.mul(v, self.decay, out=out).add_(x)

    def fire_and_reset(self, h: Tensor, s: Tensor, v: Tensor) -> None:
        """Write spikes to ``s`` and the potential after the reset to ``v``."""
        counts = torch.div(h, self.v_threshold, out=v).clamp_(0, self.levels)
        counts = counts.round_() if self.rounding == "half_even" else counts.add_(0.5).floor_()
        if self.normalise:
            torch.div(counts, self.levels, out=s)
        else:
            s.copy_(counts)
        counts.mul_(-self.v_threshold).add_(h)

    def reverse_fire(
        self, h: Tensor, grad_s: Tensor, grad: Tensor, slope: Tensor, kept: Tensor
    ) -> None:
        """Turn the gradient of the potential after the reset into that of ``h``, in place."""
        u = torch.div(h, self.v_threshold, out=slope)
        if self.window == "strict":
            torch.gt(u, 0, out=kept)
            kept.mul_(u.lt_(self.levels))
        else:
            torch.clamp(u, 0, self.levels, out=kept)
            kept.eq_(u)
        on_counts = h.copy_(grad_s)
        if self.normalise:
            on_counts.div_(self.levels)
        if not self.detach_reset:
            on_counts.add_(grad, alpha=-self.v_threshold)
        grad.add_(on_counts.mul_(kept).div_(self.v_threshold))

    def reverse_charge(self, grad: Tensor, grad_x: Tensor) -> None:
        """Write the gradient of ``x``; turn that of ``h`` into that of ``v`` before, in place."""
        grad_x.copy_(grad)
        grad.mul_(self.decay)
