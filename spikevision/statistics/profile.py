"""Time, memory and firing rate of each layer, measured on the inputs that it really gets."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from spikevision.layers.attention import MaskedSpikingProduct, SpikingProduct
from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import get_neuron_backend, packing
from spikevision.statistics.recorder import NORMALISATION
from spikevision.statistics.synops import SYNAPTIC

__all__ = ["LayerCost", "profile_calls"]

PROFILED = (*SYNAPTIC, *NORMALISATION, SpikingNeuron, SpikingProduct, MaskedSpikingProduct)
ROUNDS = 3
SPARSE_RATE = 0.05
DENSE_RATE = 0.5
SLOW_BACKWARD = 6


@dataclass
class LayerCost:
    """What one layer costs in one call of the model, measured alone.

    Attributes:
        name: Path of the module.
        type: Its class, with kernel and groups of a convolution.
        forward_ms: Time of its forward passes, the fastest of three each.
        backward_ms: The same of its backward passes.
        saved_mib: What it keeps for the backward pass, parameters left out; spikes as bits.
        rate: Share of non-zero elements in its input, or in the output of a neuron; None if unknown.
        calls: How often the model called it.
    """

    name: str
    type: str
    forward_ms: float = 0.0
    backward_ms: float = 0.0
    saved_mib: float = 0.0
    rate: float | None = None
    calls: int = 0
    _nonzero: list[int] = field(default_factory=lambda: [0, 0], repr=False)

    @property
    def total_ms(self) -> float:
        """Forward and backward together."""
        return self.forward_ms + self.backward_ms

    @property
