"""The neurons of converted networks: signed burst neurons and multi-threshold neurons.

Both keep what they have sent so far and compare it with the sum of their input, so the total they send depends on the
sum alone and not on when its parts arrived. ``drive`` is that sum, ``drive = x_1 + ... + x_t``.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["burst_step", "multi_threshold_step"]


def burst_step(drive: Tensor, count: Tensor, *, burst: int = 2) -> Tensor:
    """One step of the signed burst neuron with memory, in quanta of half its threshold V.

    The published step integrates, sends a main spike of ``V`` where the membrane holds it (or takes one back where it
    holds ``-V`` and something was sent), then up to ``burst`` spikes of ``V / 2`` of either sign that leave what was
    sent in total not negative. Written as whole numbers this is one rounding towards zero:
    ``n' = max(0, n + clip(trunc(drive - n), -(2 + burst), 2 + burst))``.

    Args:
        drive: Sum of the input in quanta ``V / 2``, plus the start potential; any shape.
        count: Quanta sent so far, whole and not negative; overwritten.
        burst: Most half-size spikes of one step.

    Returns:
        ``count``, with the quanta of this step.

    Source:
        Jiang et al., "Spatio-Temporal Approximation", ICLR 2024: neuron with memory and burst.
    """
    limit = 2 + burst
    sent = (drive - count).trunc_().clamp_(-limit, limit)
    return count.add_(sent).clamp_(min=0)


def multi_threshold_step(
    drive: Tensor, sent: Tensor, threshold: Tensor, *, levels: int, signed: bool
) -> Tensor:
    """One step of the multi-threshold neuron: at most one spike, of either sign.

    Its thresholds are ``threshold * 2^-i`` for i = 0 ... levels - 1; the largest of which three quarters fit into the
    membrane potential ``drive - sent`` fires and is subtracted.

    Args:
        drive: Sum of the input, any shape.
        sent: What was sent so far; overwritten.
        threshold: Largest threshold, broadcastable; 0 for units that never fire.
        levels: Number of thresholds.
        signed: Whether the total may be negative.

    Returns:
        ``sent``, with the spike of this step.

    Source:
        Huang et al., "Towards High-performance Spiking Transformers from ANN to SNN Conversion", ACM MM 2024; the
        rule of three quarters: Huang et al., "Differential Coding for Training-Free ANN-to-SNN Conversion", ICML 2025.
    """
    potential = drive - sent
    ratio = (potential / (0.75 * threshold)).nan_to_num_(0.0, 0.0, 0.0).abs_()
    exponent = torch.frexp(ratio).exponent.sub_(1).clamp_(max=0)  # ratio in [2^e, 2^(e + 1))
    spike = torch.ldexp(threshold * potential.sign(), exponent)
    spike.masked_fill_(ratio < 2.0 ** (1 - levels), 0.0)
    sent.add_(spike)
    return sent if signed else sent.clamp_(min=0)
