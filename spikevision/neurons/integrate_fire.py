"""Integrate-and-fire neuron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import if_step
from spikevision.registry import MODELS


@MODELS.register_module()
class IF(SpikingNeuron):
    """Integrate-and-fire neuron without leak, :func:`spikevision.ops.if_step`.

    Args:
        **settings: Threshold, reset and surrogate, see :class:`SpikingNeuron`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)

    def _dynamics(self) -> tuple[Callable[..., Any], tuple[Tensor, ...], dict[str, Any]]:
        return if_step, (), self._fire_settings()
