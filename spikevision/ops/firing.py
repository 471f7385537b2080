"""Run LIF neurons from rest in one pass over memory, by a C kernel, where nothing is trained.

The twin is :func:`spikevision.ops.run_steps`; its compiled code takes as long for many neurons, but a quarter of a
millisecond to start, which is most of the time of a small layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikevision.ops import native
from spikevision.ops.normalise import MAX_STEPS, LIFSettings

__all__ = ["Firing", "fits"]


def fits(x: Tensor, lif: LIFSettings | None) -> bool:
    """Whether a kernel can run these neurons on the input ``[T, N, ...]``."""
    return (
        lif is not None
        and 0 < len(x) <= MAX_STEPS
        and x.numel() > 0
        and not (x.requires_grad and torch.is_grad_enabled())
        and native.has_kernels(x)
    )


class Firing:
    """Runs LIF neurons from rest; :attr:`spikevision.neurons.base.SpikingNeuron.firing` is the place for it."""

    def fire(self, x: Tensor, lif: LIFSettings | None) -> Tensor | None:
        """Spikes for the input ``[T, N, ...]``; None, and nothing done, where no kernel fits ``x`` or the neuron."""
        if not fits(x, lif) or not _is_dense(x):
            return None
        spikes = torch.empty_like(x)
        native.call("lif_alone", x, spikes, lif, len(x), x[0].numel())
        return spikes


def _is_dense(x: Tensor) -> bool:
    """Whether memory holds one time step after the other, channels first or last."""
    return x.is_contiguous() or (x.dim() > 3 and x.movedim(2, -1).is_contiguous())
