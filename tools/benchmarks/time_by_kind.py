"""Where the time of a deployed network goes, by kind of layer."""

import time
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.deploy.int8 import VnniConv2d
from spikevision.deploy.kernels import EventConv2d
from spikevision.layers.attention import SpikingProduct
from spikevision.neurons import SpikingNeuron

DENSE, EVENTS = "dense convolutions", "event-driven convolutions"
KINDS = {
    EventConv2d: EVENTS,
    VnniConv2d: "int8 convolutions",
    nn.Conv2d: DENSE,
    nn.Linear: "linear layers",
    SpikingNeuron: "neurons",
    SpikingProduct: "attention products",
}
ROUNDS = 3


def kind_of(module: nn.Module) -> str | None:
    """Kind of a layer; None for what is none, or contains layers."""
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        return "depthwise convolutions"
    return next((kind for of, kind in KINDS.items() if isinstance(module, of)), None)


def time_by_kind(network: nn.Module, images: Tensor) -> tuple[dict[str, float], dict[str, float]]:
    """Share of a call's time by kind of layer, and billions of operations per second of some kinds.

    What is left, ``rest``, are sums, reshapes, copies into another layout, and Python. Event-driven convolutions count
    with the operations that a dense one would do.
    """
    began_s: dict[nn.Module, float] = {}
    taken_s: Counter[str] = Counter()
    operations: Counter[str] = Counter()

    def begin(module: nn.Module, args: tuple[Any, ...]) -> None:
        began_s[module] = time.perf_counter()

    def end(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        kind = kind_of(module)
        taken_s[kind] += time.perf_counter() - began_s[module]
        weight = getattr(module, "plain", module)
        if kind in (DENSE, EVENTS):
            operations[kind] += 2 * output.numel() * weight.weight[0].numel()

    handles = [
        handle
        for module in network.modules()
        if kind_of(module)
        for handle in (
            module.register_forward_pre_hook(begin),
            module.register_forward_hook(end),
        )
    ]
    with torch.no_grad():
        network(images)
        taken_s.clear()
        operations.clear()
        start_s = time.perf_counter()
        for _ in range(ROUNDS):
            network(images)
        whole_s = time.perf_counter() - start_s
    for handle in handles:
        handle.remove()
    taken_s["rest"] = whole_s - sum(taken_s.values())
    shares = {kind: round(seconds / whole_s, 3) for kind, seconds in taken_s.most_common()}
    return shares, {kind: operations[kind] / taken_s[kind] / 1e9 for kind in operations}
