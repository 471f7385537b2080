"""Leaky integrate-and-fire neuron."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import lif_step
from spikevision.registry import MODELS


def check_tau(tau: float) -> float:
    """Check a membrane time constant and return it as a float.

    Raises:
        ValueError: If ``tau`` is not a finite number above 1.
    """
    tau = float(tau)
    if not (tau > 1.0 and math.isfinite(tau)):
        raise ValueError(f"tau must be more than 1 time step, got {tau}; for no leak use IF")
    return tau


@MODELS.register_module()
class LIF(SpikingNeuron):
    """Leaky integrate-and-fire neuron, :func:`spikevision.ops.lif_step`.

    Args:
        tau: Membrane time constant in time steps, more than 1.
        decay_input: Whether the input is divided by ``tau`` as well.
        **settings: Threshold, reset and surrogate, see :class:`SpikingNeuron`.

    Raises:
        ValueError: If ``tau`` is not a finite number above 1, or as in :class:`SpikingNeuron`.
    """

    def __init__(self, tau: float = 2.0, *, decay_input: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.tau = check_tau(tau)
        self.decay_input = bool(decay_input)

    def _dynamics(self) -> tuple[Callable[..., Any], tuple[Tensor, ...], dict[str, Any]]:
        settings = {"tau": self.tau, "decay_input": self.decay_input, **self._fire_settings()}
        return lif_step, (), settings
