"""Bodies of residual blocks: each begins and ends with a weight layer and has its neurons between."""

from collections.abc import Iterable

from torch import Tensor, nn

from spikevision.layers.conv import ConvBN, DepthwiseBN, DepthwiseSeparableBN
from spikevision.layers.normalise import EndsInNorm, fire
from spikevision.neurons import SpikingNeuron, build_neuron

__all__ = [
    "SpikingBody",
    "SpikingSequential",
    "mlp_body",
    "sep_conv_body",
    "spiking_sep_conv_body",
]


class SpikingSequential(nn.Sequential):
    """Layers and neurons in turn, ``[T, N, ...]`` in and out; each layer runs with the neuron right behind it."""

    def forward(self, x: Tensor) -> Tensor:
        """Run them all, see :func:`spikevision.layers.normalise.fire`."""
        return _in_turn(self, x)


class SpikingBody(SpikingSequential):
    """A :class:`SpikingSequential` whose last layer ends in a normalisation."""

    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        *_, last = self
        assert isinstance(last, EndsInNorm)
        return last.before_norm(self._to_last(x))

    def _to_last(self, x: Tensor) -> Tensor:
        *before, _ = self
        return _in_turn(before, x)


def _in_turn(modules: Iterable[nn.Module], x: Tensor) -> Tensor:
    waiting: nn.Module | None = None  # for the neuron behind it, if there is one
    for module in modules:
        if waiting is not None and isinstance(module, SpikingNeuron):
            x, waiting = fire(waiting, module, x), None
        else:
            x, waiting = x if waiting is None else waiting(x), module
    return x if waiting is None else waiting(x)


def mlp_body(
    channels: int, *, neuron: dict | None, ratio: int = 4, kernel_size: int = 1, bias: bool = True
) -> SpikingBody:
    """Two convolutions with a neuron between: the MLP (1x1 with bias) or the channel convolution (3x3 without)."""
    hidden = channels * ratio
    body = SpikingBody()
    body.add_module("fc1", ConvBN(channels, hidden, kernel_size, bias=bias))
    body.add_module("neuron", build_neuron(neuron))
    body.add_module("fc2", ConvBN(hidden, channels, kernel_size, bias=bias))
    return body


def sep_conv_body(
    channels: int, *, neuron: dict | None, ratio: int = 2, kernel_size: int = 7
) -> SpikingBody:
    """SepConv of Meta-SpikeFormer: 1x1 to ``ratio * C``, neuron, depthwise 7x7 and 1x1 back to C.

    Source: Yao et al., Spike-driven Transformer V2, arXiv:2404.03663, eq. 8.
    """
    body = SpikingBody()
    body.add_module("expand", ConvBN(channels, channels * ratio))
    body.add_module("neuron", build_neuron(neuron))
    body.add_module("reduce", DepthwiseSeparableBN(channels * ratio, channels, kernel_size))
    return body


def spiking_sep_conv_body(
    channels: int, *, neuron: dict | None, kernel_size: int, ratio: int = 2
) -> SpikingBody:
    """SepConv of E-SpikeFormer: 1x1 to ``ratio * C``, depthwise and 1x1 back, with a neuron before each of the last two.

    Source: Yao et al., Spike-driven Transformer V3, arXiv:2411.16061.
    """
    body = SpikingBody()
    body.add_module("expand", ConvBN(channels, channels * ratio))
    body.add_module("neuron1", build_neuron(neuron))
    body.add_module("depthwise", DepthwiseBN(channels * ratio, kernel_size))
    body.add_module("neuron2", build_neuron(neuron))
    body.add_module("reduce", ConvBN(channels * ratio, channels))
    return body
