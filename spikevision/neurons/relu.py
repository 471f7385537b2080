"""The twin that every spiking network is compared with: the same layers, ReLU in the place of neurons."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from spikevision.neurons.base import SpikingNeuron
from spikevision.registry import MODELS

__all__ = ["ReLU"]


@MODELS.register_module()
class ReLU(SpikingNeuron):
    """No spiking neuron: ``max(x, 0)`` at every time step, without memory.

    ``neuron=dict(type='ReLU')`` with ``time_steps=1`` turns a spiking config into its artificial twin, for
    comparisons of accuracy and cost. Settings of neurons, such as ``v_threshold``, are taken and have no effect.
    """

    def lif_settings(self) -> None:
        """None: no kernel runs in its place."""

    def forward(self, x: Tensor, state: Tensor | None = None, **_: Any) -> Any:
        """``[T, N, ...]`` in and out; a state is handed back unchanged."""
        activation = functional.relu(x)
        return activation if state is None else (activation, state)

    def extra_repr(self) -> str:
        """Nothing: no setting has an effect."""
        return ""
