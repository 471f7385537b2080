"""How much memory spikes in slots will take, known from shapes alone before a network is unrolled or run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.neurons.integer_lif import IntegerLIF
from spikevision.ops.memory import check_memory

__all__ = ["check_unrolled_memory"]


def check_unrolled_memory(model: nn.Module, shape: Sequence[int]) -> None:
    """Refuse images whose spikes in T x D steps would not fit into memory; nothing is computed, nothing changes.

    What the largest layer of neurons asks for is estimated by a run on the meta device. It is a lower bound: what
    stands between two layers comes on top, and every layer checks again when it runs.

    Args:
        model: Network of :class:`IntegerLIF` neurons, unrolled or not, called with a tensor.
        shape: Shape of that tensor, such as ``(N, C, H, W)``.

    Raises:
        ValueError: If the memory is not free; says how much is needed, by which neuron.
    """
    weight = next(model.parameters(), torch.empty(0))
    x = torch.empty(*shape, device="meta", dtype=weight.dtype)
    needed, steps, name = max(_slots_in_bytes(model, x))
    check_memory(
        needed,
        weight.device,
        f"{steps} steps of spikes (T x D) of the neuron {name or 'itself'!r} for input {tuple(shape)}",
    )


def _slots_in_bytes(model: nn.Module, x: Tensor) -> list[tuple[int, int, str]]:
    """Bytes, steps T x D and name of each neuron's spikes, as :func:`spikevision.ops.slots.encode_slots` makes them."""
    found: list[tuple[int, int, str]] = [(0, 0, "")]
    neurons = {name: m for name, m in model.named_modules() if isinstance(m, IntegerLIF)}
    handles = [
        neuron.register_forward_hook(_noting(found, name, neuron))
        for name, neuron in neurons.items()
    ]
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    unrolled = {name: neuron.unrolled for name, neuron in neurons.items()}
    try:
        for neuron in neurons.values():
            neuron.unrolled = False
        with torch.no_grad():
            torch.func.functional_call(model, shapes, (x,))
    finally:
        for name, neuron in neurons.items():
            neuron.unrolled = unrolled[name]
        for handle in handles:
            handle.remove()
    return found


def _noting(found: list[tuple[int, int, str]], name: str, neuron: IntegerLIF) -> Any:
    def note(module: nn.Module, args: tuple, output: Any) -> None:
        numbers = output[0] if isinstance(output, tuple) else output
        bytes_each = numbers.element_size() + 1  # and one byte of comparison
        needed = neuron.levels * numbers.numel() * bytes_each
        found.append((needed, neuron.levels * len(numbers), name))

    return note
