"""Turn a network of integer neurons into one that fires binary spikes and gives the same answer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spikevision.neurons.base import SpikingNeuron
from spikevision.neurons.integer_lif import IntegerLIF
from spikevision.neurons.unroll_memory import check_unrolled_memory

__all__ = ["unroll_"]


def unroll_(model: nn.Module, shape: Sequence[int] | None = None) -> nn.Module:
    """Let a trained network of :class:`IntegerLIF` neurons fire binary spikes in T x D steps.

    Every whole number S of 0..D becomes S spikes in D slots of its time step, and the answer stays the same (up to the
    order of floating-point sums). Where sums are kept:

    * Weight layers add up their outputs over the slots and add the bias once; so norms, residual membrane potentials,
      average pooling, resizing and RoI pooling act on the same numbers as before.
    * ``Q K^T V`` is no sum of products of slots. The inner product keeps running sums of what K and V have fired: a spike
      of K adds a row of V's sum, a spike of V one of K's. Its result stands still while the spikes of Q select rows.
    * Neurons sum what reaches them in slots, then fire in the first S slots, so that max-pooling in each slot is right.
    * A stream that adds spikes (SEW shortcut) is the spikes of all its neurons, in slots one after the other.

    Convolutions that were trained in factors (RepConv, the tail of SepConv, convolution with norm) are fused into the
    single convolution that they equal, because only spikes may enter a weight layer. What reads ``S / D`` has the
    ``1 / D`` in its weights. Answers are equal to the bit but for the order of sums, so a potential exactly halfway
    between two numbers rounds alike where its sums are exact: ``normalise=True`` with D no power of two is not that.

    Args:
        model: Network in eval mode, changed in place; it is for inference from then on, so no parameter wants a gradient.
        shape: Of the tensors that it will be called with, ``(N, C, H, W)``: whether their spikes fit into memory is then
            estimated before anything changes.

    Returns:
        ``model``.

    Raises:
        ValueError: If the network is in training mode, is unrolled already, has no integer neuron, or has others (the
            message names them), or the spikes for such a ``shape`` do not fit into memory. When it runs: if those of a
            layer do not.

    Source: Yao et al., Spike-driven Transformer V3, arXiv:2411.16061 (spike firing approximation); Luo et al.,
        arXiv:2407.20708.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("unroll_ needs a model in eval mode, all of it: call model.eval() first")
    neurons = _integer_neurons(model)
    if shape is not None:
        check_unrolled_memory(model, shape)
    _fuse(model)
    for neuron in neurons:
        neuron.unrolled = True
    return model.requires_grad_(False)


def _integer_neurons(model: nn.Module) -> list[IntegerLIF]:
    neurons = {n: m for n, m in model.named_modules() if isinstance(m, SpikingNeuron)}
    integer = {name: m for name, m in neurons.items() if isinstance(m, IntegerLIF)}
    others = [
        f"{name or 'the model'} is a {type(m).__name__}"
        for name, m in neurons.items()
        if name not in integer
    ]
    if others:
        raise ValueError(
            f"cannot unroll {len(others)} of {len(neurons)} neurons, which do not fire whole numbers 0..D: "
            f"{_listed(others)}; train with neuron=dict(type='spikevision.IntegerLIF', levels=4)"
        )
    if not integer:
        raise ValueError(f"{type(model).__name__} has no IntegerLIF neuron to unroll")
    done = [name for name, m in integer.items() if m.unrolled]
    if done:
        raise ValueError(f"{type(model).__name__} is unrolled already: {_listed(done)}")
    return list(integer.values())


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _fuse(model: nn.Module) -> None:
    """Replace every layer that has a method ``fused`` by what it gives."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "fused"):
                setattr(parent, name, child.fused().eval().requires_grad_(False))  # type: ignore[operator]
