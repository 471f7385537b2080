"""The networks that benchmarks compare: ours, the same on SpikingJelly's neurons, with ReLU, or eager; its own Spikformer."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikevision.layers.conv import DepthwiseConv2d
from spikevision.neurons import LIF, ReLU, SpikingNeuron
from spikevision.ops import neuron_backend
from spikevision.testing import build_classifier

NETWORKS = {
    "meta-spikeformer-15m": dict(type="spikevision.MetaSpikeFormer", arch="15m"),
    "meta-spikeformer-55m": dict(type="spikevision.MetaSpikeFormer", arch="55m"),
    "spikformer-8-384": dict(type="spikevision.Spikformer", variant="imagenet", arch="8-384"),
}
CLASSES = 1000


class SpikingJellyLIF(nn.Module):
    """SpikingJelly's multi-step LIF on the PyTorch backend, reset before each call."""

    def __init__(self, v_threshold: float) -> None:
        super().__init__()
        from spikingjelly.activation_based import neuron, surrogate

        self.node = neuron.LIFNode(
            tau=2.0,
            v_threshold=v_threshold,
            detach_reset=True,
            surrogate_function=surrogate.Sigmoid(alpha=4.0),
            step_mode="m",
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, ...]`` in and out."""
        self.node.reset()
        return self.node(x)


def build(network: str, *, time_steps: int) -> nn.Module:
    """One of :data:`NETWORKS` as a classifier of 1000 classes; ``forward`` gives logits."""
    torch.manual_seed(0)
    return build_classifier({**NETWORKS[network], "time_steps": time_steps}, CLASSES)


def on_spikingjelly(model: nn.Module) -> nn.Module:
    """The same weights with SpikingJelly's neurons, PyTorch's layers and PyTorch's memory layout."""
    return _plain(_swap(model, LIF, lambda neuron: SpikingJellyLIF(neuron.v_threshold)))


def relu_twin(model: nn.Module) -> nn.Module:
    """The same weights and our layers, with ReLU in place of neurons."""
    return _swap(model, SpikingNeuron, lambda neuron: ReLU())


class Eager(nn.Module):
    """A copy of a model whose neurons are plain loops under autograd and whose spikes are kept as they are; no kernels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for module in self.model.modules():
            if isinstance(module, SpikingNeuron):
                module.spike_packing = False

    def forward(self, *args: object, **kwargs: object) -> object:
        """As the model; only the forward pass asks which backend is chosen."""
        with neuron_backend("plain"):
            return self.model(*args, **kwargs)

    def __getattr__(self, name: str) -> object:
        """Everything else is the model's, such as ``data_preprocessor``."""
        own = self.__dict__["_modules"]
        return own[name] if name in own else getattr(own["model"], name)


class SpikingJellySpikformer(nn.Module):
    """SpikingJelly's own Spikformer in the size of :data:`NETWORKS`, with our settings of the neurons; random weights.

    Needs ``pip install h5py`` as well.
    """

    def __init__(self, *, size: int, time_steps: int, width: int = 384, depth: int = 8) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, neuron, surrogate
        from spikingjelly.activation_based.model.spikformer import Spikformer

        self.reset = functional.reset_net
        self.net = Spikformer(
            T=time_steps, img_size_h=size, img_size_w=size, embed_dims=width, num_heads=8, depths=depth,
            num_classes=CLASSES, spiking_neuron=neuron.LIFNode, tau=2.0, detach_reset=True,
            surrogate_function=surrogate.Sigmoid(alpha=4.0), step_mode="m",
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, classes]``."""
        self.reset(self.net)
        return self.net(images).mean(0)


def _plain(model: nn.Module) -> nn.Module:
    def conv(ours: DepthwiseConv2d) -> nn.Conv2d:
        theirs = nn.Conv2d(
            ours.in_channels, ours.out_channels, ours.kernel_size,
            padding=ours.padding, groups=ours.groups, bias=False,
        )  # fmt: skip
        theirs.weight = ours.weight
        return theirs

    return _swap(model, DepthwiseConv2d, conv).to(memory_format=torch.contiguous_format)


def _swap(
    model: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]
) -> nn.Module:
    """A copy of a model with every module of a kind replaced."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, kind):
            model.set_submodule(name, make(module))
    return model
