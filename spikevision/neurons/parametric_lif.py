"""Leaky integrate-and-fire neuron with a learned time constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.neurons.base import SpikingNeuron
from spikevision.neurons.lif import check_tau
from spikevision.ops import parametric_lif_step
from spikevision.registry import MODELS


@MODELS.register_module()
class ParametricLIF(SpikingNeuron):
    """LIF neuron whose time constant is learned, :func:`spikevision.ops.parametric_lif_step`.

    The parameter ``w`` of no dimensions is shared by all elements; ``1 / tau = sigmoid(w)``.

    Args:
        init_tau: Time constant to start from, in time steps, more than 1.
        decay_input: Whether the input is scaled by ``1 / tau`` as well.
        **settings: Threshold, reset and surrogate, see :class:`SpikingNeuron`.

    Raises:
        ValueError: If ``init_tau`` is not a finite number above 1, or as in
            :class:`SpikingNeuron`.
    """

    def __init__(self, init_tau: float = 2.0, *, decay_input: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.init_tau = check_tau(init_tau)
        self.decay_input = bool(decay_input)
        self.w = nn.Parameter(torch.tensor(-math.log(self.init_tau - 1.0)))

    @property
    def tau(self) -> float:
        """Time constant as it is now, in time steps."""
        return 1.0 + math.exp(-self.w.item())

    def _dynamics(self) -> tuple[Callable[..., Any], tuple[Tensor, ...], dict[str, Any]]:
        settings = {"decay_input": self.decay_input, **self._fire_settings()}
        return parametric_lif_step, (self.w,), settings

    def _shown(self) -> dict[str, Any]:
        return {"init_tau": self.init_tau, **super()._shown()}
