"""Bodies of residual blocks: each begins and ends with a weight layer and has its neurons between."""

from torch import Tensor, nn

from spikevision.layers.conv import ConvBN, DepthwiseBN, DepthwiseSeparableBN
from spikevision.layers.normalise import EndsInNorm, fire
from spikevision.neurons import build_neuron

__all__ = ["SpikingBody", "mlp_body", "sep_conv_body", "spiking_sep_conv_body"]


class SpikingBody(nn.Sequential):
    """Weight layers that end in a normalisation and neurons, in turn; ``[T, N, ...]`` in and out."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the weight layers and neurons, each layer with the neuron behind it."""
        *_, last = self
        return last(self._to_last(x))

    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        *_, last = self
        assert isinstance(last, EndsInNorm)
        return last.before_norm(self._to_last(x))

    def _to_last(self, x: Tensor) -> Tensor:
        *pairs, _ = self
        for layer, neuron in zip(pairs[::2], pairs[1::2], strict=True):
            x = fire(layer, neuron, x)
        return x


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
