"""Batch normalisation that keeps less for the backward pass, and runs in one pass with the neuron behind it."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import normalise
from spikevision.ops.time_axis import fold_time, unfold_like

__all__ = ["BatchNorm2d", "EndsInNorm", "apply_norms", "fire", "is_watched"]


class BatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d``; while it trains on a CPU in channels_last, its output is not kept but made again."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` in and out."""
        norm = _as_one([self])
        if norm is None or not normalise.fits(x, norm):
            return super().forward(x)
        y, mean, variance = normalise.batch_norm(x, norm)
        _count([self], mean, variance, x)
        return y


@runtime_checkable
class EndsInNorm(Protocol):
    """A layer on ``[T, N, ...]`` that ends in one or two batch normalisations."""

    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """What enters the normalisations, and these."""


def apply_norms(norms: list[nn.Module], z: Tensor) -> Tensor:
    """Normalise ``[N, C, H, W]``: two normalisations in succession are one, where the kernels run."""
    norm = _as_one(norms)
    if norm is None or not normalise.fits(z, norm):
        for each in norms:
            z = each(z)
        return z
    y, mean, variance = normalise.batch_norm(z, norm)
    _count(norms, mean, variance, z)
    return y


def fire(layer: nn.Module, neuron: nn.Module, x: Tensor) -> Tensor:
    """``neuron(layer(x))``, with the layer's normalisation and the neuron in one pass where a kernel does that.

    Forward hooks of the neuron and of convolutions are called, the neuron's with an input that is not normalised yet;
    where hooks wait for the neuron's input (pre-hooks) or for what the pass skips, the pass is not one.
    """
    if not _may_fuse(layer, neuron):
        return neuron(layer(x))
    assert isinstance(layer, EndsInNorm)
    assert isinstance(neuron, SpikingNeuron)
    z, norms = layer.before_norm(x)
    norm, lif, flat = _as_one(norms), neuron.lif_settings(), fold_time(z)
    if norm is None or lif is None or not normalise.fits(flat, norm, len(z)):
        return neuron(unfold_like(apply_norms(norms, flat), z))

    def spikes(z: Tensor) -> Tensor:
        flat = fold_time(z)
        result, mean, variance = normalise.batch_norm_lif(flat, norm, lif, len(z))
        _count(norms, mean, variance, flat)
        return unfold_like(result, z)

    return neuron(z, instead=spikes)


def _may_fuse(layer: nn.Module, neuron: nn.Module) -> bool:
    if not (isinstance(neuron, SpikingNeuron) and isinstance(layer, EndsInNorm) and layer.training):
        return False
    skipped = (m for m in layer.modules() if isinstance(m, (EndsInNorm, _BatchNorm)))
    return not neuron._forward_pre_hooks and not any(map(is_watched, skipped))


def is_watched(module: nn.Module) -> bool:
    """Whether hooks look at what goes into a module or comes out, so that it has to run as it is written."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _as_one(norms: Iterable[nn.Module]) -> normalise.Norm | None:
    """One or two normalisations that use and track statistics of the batch as ``ops.normalise`` knows them, or None."""
    result: normalise.Norm | None = None
    for norm in norms:
        if type(norm) is not BatchNorm2d or not norm.training or norm.weight is None:
            return None
        result = normalise.Norm(norm.weight, norm.bias, norm.eps, inner=result)
    return result


def _count(norms: Iterable[nn.Module], mean: Tensor, variance: Tensor, x: Tensor) -> None:
    """Move running statistics on, those of a second normalisation by what the first one gives it."""
    size = x.numel() // x.shape[1]
    for norm in norms:
        assert isinstance(norm, BatchNorm2d)
        if norm.track_running_stats and norm.running_mean is not None:
            assert norm.num_batches_tracked is not None
            assert norm.running_var is not None
            norm.num_batches_tracked.add_(1)
            momentum = norm.momentum
            if momentum is None:
                momentum = 1.0 / float(norm.num_batches_tracked)
            norm.running_mean.lerp_(mean, momentum)
            norm.running_var.lerp_(variance * (size / (size - 1)), momentum)
        mean = norm.bias.detach()
        variance = norm.weight.detach().square() * variance / (variance + norm.eps)
