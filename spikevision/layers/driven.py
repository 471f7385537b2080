"""Weight layers behind a neuron, for membrane-potential pipelines without shortcuts: necks and heads."""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikevision.layers.normalise import is_watched
from spikevision.neurons import build_neuron
from spikevision.ops.packing import takes_spikes
from spikevision.ops.time_axis import firing_rate, fold_time, mean_time, unfold_like, unfold_time

__all__ = ["SpikeDriven", "SpikingReadout", "read_out"]

WeightLayer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
GAIN = 6.0
NORM_SCALE = 2.0


class SpikeDriven(nn.Module):
    """Neuron -> weight layer (-> norm) on membrane potentials, all time steps in one call.

    ``init_weights`` keeps a chain of these alive. The default LIF fires in its first step where the potential is
    at least 2. Behind the usual initialisations spikes of rate r make a potential whose standard deviation is at
    most about sqrt(2 r), so a chain is silent from its second layer on. Weights are drawn with the standard
    deviation ``GAIN / sqrt(fan_in)`` instead, under which rates of 0.1 to 0.3 stay at 0.1 to 0.3; where there is a
    norm, it starts at ``NORM_SCALE`` and the weights stay as they are.

    Args:
        layer: Convolution, transposed convolution or linear layer on ``[N, ...]``.
        neuron: Neuron config; None is the published LIF.
        norm: Norm behind the layer, or None.
    """

    def __init__(
        self,
        layer: WeightLayer,
        *,
        neuron: dict | None = None,
        norm: _BatchNorm | None = None,
    ) -> None:
        super().__init__()
        self.neuron = build_neuron(neuron)
        self.layer = layer.to(memory_format=torch.channels_last)  # as the backbones' weights
        self.norm = norm

    @takes_spikes
    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, C, ...]`` to ``[T, N, C', ...]``, both membrane potentials."""
        y = self.layer(fold_time(self.neuron(x)))
        return unfold_time(y if self.norm is None else self.norm(y), x.shape[0])

    def init_weights(self) -> None:
        """Draw weights under which the next neuron fires; mmengine calls it."""
        if self.norm is not None:
            nn.init.constant_(self.norm.weight, NORM_SCALE)
            return
        nn.init.normal_(self.layer.weight, std=GAIN / math.sqrt(_fan_in(self.layer)))
        if self.layer.bias is not None:
            nn.init.zeros_(self.layer.bias)


class SpikingReadout(nn.Module):
    """Neuron -> weight layer -> mean over time: here T leaves, ``[T, N, C, ...]`` to logits ``[N, C', ...]``.

    Its initialisation belongs to the head, as that of any prediction layer.

    Args:
        layer: Convolution or linear layer on ``[N, ...]``.
        neuron: Neuron config; None is the published LIF.
    """

    def __init__(self, layer: nn.Module, *, neuron: dict | None = None) -> None:
        super().__init__()
        self.neuron = build_neuron(neuron)
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, C, ...]`` to ``[N, C', ...]``."""
        return read_out(self.layer, self.neuron(x))


@takes_spikes
def read_out(layer: nn.Module, spikes: Tensor) -> Tensor:
    """Average over time of what a convolution or linear layer says to each step, ``[T, N, C, ...]`` to ``[N, C', ...]``.

    The layer is linear, so while it trains it says the same to the average of the spikes: a T-th of the work, and of
    the memory of gradients. Where hooks look at the layer, it meets the spikes themselves.
    """
    if layer.training and torch.is_grad_enabled() and not is_watched(layer):
        return layer(firing_rate(spikes))
    return mean_time(unfold_like(layer(fold_time(spikes)), spikes))


def _fan_in(layer: WeightLayer) -> float:
    """Inputs that one output of a layer sums."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight[:, 0].numel() / math.prod(layer.stride)
    return layer.weight[0].numel()
