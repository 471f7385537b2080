"""Time, memory and firing rate of each layer, measured on the inputs that it really gets."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from spikevision.layers.attention import MaskedSpikingProduct, SpikingProduct
from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import get_neuron_backend, packing
from spikevision.statistics.recorder import NORMALISATION
from spikevision.statistics.synops import SYNAPTIC

__all__ = ["LayerCost", "profile_calls"]

PROFILED = (*SYNAPTIC, *NORMALISATION, SpikingNeuron, SpikingProduct, MaskedSpikingProduct)
ROUNDS = 3
SPARSE_RATE = 0.05
DENSE_RATE = 0.5
SLOW_BACKWARD = 6


@dataclass
class LayerCost:
    """What one layer costs in one call of the model, measured alone.

    Attributes:
        name: Path of the module.
        type: Its class, with kernel and groups of a convolution.
        forward_ms: Time of its forward passes, the fastest of three each.
        backward_ms: The same of its backward passes.
        saved_mib: What it keeps for the backward pass, parameters left out; spikes as bits.
        rate: Share of non-zero elements in its input, or in the output of a neuron; None if unknown.
        calls: How often the model called it.
    """

    name: str
    type: str
    forward_ms: float = 0.0
    backward_ms: float = 0.0
    saved_mib: float = 0.0
    rate: float | None = None
    calls: int = 0
    _nonzero: list[int] = field(default_factory=lambda: [0, 0], repr=False)

    @property
    def total_ms(self) -> float:
        """Forward and backward together."""
        return self.forward_ms + self.backward_ms

    @property
    def advice(self) -> str:
        """One thing that may help if the layer is expensive, or nothing."""
        if self.rate == 0:
            return "silent: nothing but zeros; lower v_threshold in front of it or raise its input"
        slow_gradient = self.backward_ms > SLOW_BACKWARD * self.forward_ms
        if self.type.startswith("depthwise") and slow_gradient:
            return "its weight gradient is PyTorch's slow one: `spikevision doctor` looks for a compiler"
        if self.type in ("LIF", "IF", "ParametricLIF"):
            return self._neuron_advice()
        if "BatchNorm" in self.type:
            return "for inference, `spikevision deploy` folds it into the weights beside it"
        if "Conv" in self.type and self.rate is not None and self.rate < SPARSE_RATE:
            return (
                f"{self.rate:.1%} of its input is not zero: a candidate for fewer channels; for inference, "
                "`spikevision deploy` skips the zeros where that is faster"
            )
        return ""

    def _neuron_advice(self) -> str:
        if get_neuron_backend() in ("plain", "chunked"):
            return "the compiled neuron is about twice as fast: see `spikevision doctor`"
        if self.rate is not None and self.rate > DENSE_RATE:
            return f"fires at {self.rate:.0%}: raise v_threshold to save energy"
        return ""


def profile_calls(model: nn.Module, run: Callable[[], Any]) -> list[LayerCost]:
    """Measure every layer of a model while ``run`` calls it.

    Each layer is run again, alone, forward and backward, on the input of the call. The sum is therefore less than a
    training step takes: reshapes, sums, losses and the optimiser are left out.

    Args:
        model: The module; its weights, statistics and gradients stay as they are if it is in eval mode.
        run: Calls the model, once or several times.

    Returns:
        Costs of the layers, the most expensive first.
    """
    costs: dict[str, LayerCost] = {}

    def watch(name: str) -> Callable[..., None]:
        def measure(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor):
                _measure(
                    module, args, output, costs.setdefault(name, LayerCost(name, _kind(module)))
                )

        return measure

    handles = [
        module.register_forward_hook(watch(name))
        for name, module in model.named_modules()
        if isinstance(module, PROFILED)
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return sorted(costs.values(), key=lambda cost: cost.total_ms, reverse=True)


def _measure(module: nn.Module, args: tuple[Any, ...], output: Any, cost: LayerCost) -> None:
    seen = output if isinstance(module, SpikingNeuron) else args[0]
    cost._nonzero[0] += int(torch.count_nonzero(seen))
    cost._nonzero[1] += seen.numel()
    cost.rate = cost._nonzero[0] / max(cost._nonzero[1], 1)
    cost.calls += 1
    parameters = list(module.parameters())
    with torch.inference_mode(False), torch.enable_grad():
        inputs = [arg.clone().requires_grad_() for arg in args if isinstance(arg, Tensor)]
        if not isinstance(module, SpikingNeuron):
            for tensor in inputs:
                if bool(((tensor == 0) | (tensor == 1)).all()):
                    packing.mark_spikes(tensor)
        rounds = [_round(module, inputs, parameters) for _ in range(ROUNDS)]
    cost.forward_ms += min(forward for forward, _, _ in rounds) * 1e3
    cost.backward_ms += min(backward for _, backward, _ in rounds) * 1e3
    cost.saved_mib += rounds[0][2] / 2**20


def _round(
    module: nn.Module, inputs: list[Tensor], parameters: list[nn.Parameter]
) -> tuple[float, float, int]:
    """Seconds forward, seconds backward, bytes kept between."""
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Any:
        saved = packing.pack(tensor)
        bits = saved if isinstance(saved, Tensor) else saved.memory
        if bits.untyped_storage().data_ptr() not in known:
            kept[bits.untyped_storage().data_ptr()] = bits.untyped_storage().nbytes()
        return saved

    forward = inspect.unwrap(type(module).forward)  # without hooks, its own or autograd's
    with torch.autograd.graph.saved_tensors_hooks(pack, packing.unpack):
        begin_s = time.perf_counter()
        output = forward(module, *inputs)
        middle_s = time.perf_counter()
    wanted = [tensor for tensor in (*inputs, *parameters) if tensor.requires_grad]
    gradient = torch.ones_like(output)
    begin_backward_s = time.perf_counter()
    torch.autograd.grad(output, wanted, gradient, allow_unused=True)
    return middle_s - begin_s, time.perf_counter() - begin_backward_s, sum(kept.values())


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    if not isinstance(module, _ConvNd):
        return name
    depthwise = "depthwise " if 1 < module.groups == module.in_channels else ""
    return f"{depthwise}{name} {'x'.join(map(str, module.kernel_size))}"
