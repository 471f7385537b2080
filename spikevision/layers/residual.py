"""The three residual shortcuts of spiking networks, and drop path that knows the time axis."""

import torch
from torch import Tensor, nn

from spikevision.layers.normalise import fire
from spikevision.ops.packing import add_spikes

__all__ = ["SHORTCUTS", "DropPath", "SpikingResidual"]

SHORTCUTS = ("membrane", "sew", "vanilla")


class DropPath(nn.Module):
    """Stochastic depth: drops the branch of a whole sample at all its time steps.

    Args:
        rate: Probability of dropping, in [0, 1).

    Source: Huang et al., Deep networks with stochastic depth, arXiv:1603.09382.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop path rate must be in [0, 1), got {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, ...]`` in and out; kept samples are scaled by ``1 / (1 - rate)``."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[1], device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate)).view(1, -1, *[1] * (x.dim() - 2))

    def extra_repr(self) -> str:
        """Settings, as ``print(model)`` shows them."""
        return f"rate={self.rate}"


class SpikingResidual(nn.Module):
    """A body of weight layers and one neuron, joined to the stream by one of three shortcuts.

    * ``membrane``: ``x + body(SN(x))``; the stream is a membrane potential, only spikes enter weights.
    * ``sew``: ``x + SN(body(x))``; the stream counts spikes, integers enter weights.
    * ``vanilla``: ``SN(x + body(x))``; the stream is binary, the gradient passes a neuron at every block.

    Args:
        body: Maps ``[T, N, C, H, W]`` to the same shape; begins and ends with a weight layer.
        neuron: The neuron SN.
        shortcut: ``membrane``, ``sew`` or ``vanilla``.
        drop_path_rate: Probability with which a sample skips the body in training.

    Source: Yao et al., Spike-driven Transformer V2, arXiv:2404.03663, section 3.1 (shortcuts compared in its ablation).
    """

    def __init__(
        self, body: nn.Module, neuron: nn.Module, *, shortcut: str, drop_path_rate: float = 0.0
    ) -> None:
        super().__init__()
        if shortcut not in SHORTCUTS:
            raise ValueError(f"unknown shortcut {shortcut!r}; known are {list(SHORTCUTS)}")
        self.body = body
        self.neuron = neuron
        self.shortcut = shortcut
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, ...]`` in and out."""
        if self.shortcut == "membrane":
            return x + self.drop_path(self.body(self.neuron(x)))
        if self.shortcut == "sew":
            return add_spikes(x, self.drop_path(fire(self.body, self.neuron, x)))
        return self.neuron(x + self.drop_path(self.body(x)))

    def extra_repr(self) -> str:
        """Settings, as ``print(model)`` shows them."""
        return f"shortcut={self.shortcut!r}"
