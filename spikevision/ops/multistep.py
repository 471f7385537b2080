"""Run a neuron over all its time steps, fast, on any shape and memory layout."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from spikevision.ops import chunked, compiled
from spikevision.ops.backend import resolve_backend
from spikevision.ops.packing import spikes_saved_as_bits
from spikevision.ops.recurrence import Recurrence

__all__ = ["run_steps"]


def run_steps(
    step: Callable[..., tuple[Tensor, Tensor]],
    x: Tensor,
    v0: Tensor | float,
    *params: Tensor,
    **settings: Any,
) -> tuple[Tensor, Tensor | None]:
    """Run a neuron's step over time, with gradients to ``x``, ``v0`` and ``params``.

    Nothing but the inputs is kept for the backward pass; the membrane potential is recomputed.
    How it runs is chosen by :func:`spikevision.ops.set_neuron_backend`.

    Args:
        step: A step of :mod:`spikevision.ops.dynamics`,
            ``step(x, v, *params, **settings) -> (spikes, v)``, element by element.
        x: Input current ``[T, ...]``, any memory layout; a tensor expanded over time is not
            copied.
        v0: Membrane potential ``[...]`` to start from, or the number that all start from.
        *params: Further tensors for the step, of no dimensions.
        **settings: Keyword arguments of the step; hashable.

    Returns:
        Spikes of the shape and dtype of ``x``, time outermost in memory and each step laid out
        as in ``x``; and the last membrane potential if ``v0`` is a tensor, else None. For float16
        and bfloat16 inputs the potential is float32.
    """
    state = v0 if isinstance(v0, Tensor) else None
    v_rest = 0.0 if isinstance(v0, Tensor) else float(v0)
    recurrence = Recurrence(step, tuple(settings.items()), v_rest)
    backend = resolve_backend(x)
    if backend == "plain" or x[0].numel() < 2:  # compilers treat sizes 0 and 1 as constants
        return recurrence.run(x, state, params)
    order = _memory_order(x)
    flat_x, flat_v0 = _flatten(x, order), None
    if state is not None:
        flat_v0 = state.permute([axis - 1 for axis in order[1:]]).flatten()
    runner = compiled if backend == "compiled" else chunked
    spikes, v = _run(runner, recurrence, flat_x, flat_v0, params)
    shape, inverse = [x.shape[axis] for axis in order], _inverse(order)
    spikes = spikes.view(shape).permute(inverse)
    if v is None:
        return spikes, None
    return spikes, v.view(shape[1:]).permute([axis - 1 for axis in inverse[1:]])


def _run(
    runner: ModuleType,
    recurrence: Recurrence,
    x: Tensor,
    v0: Tensor | None,
    params: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor | None]:
    inputs = [x, *params] if v0 is None else [x, v0, *params]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        with spikes_saved_as_bits():  # its input may be a normalisation's result, or spikes
            return _Recompute.apply(runner, recurrence, x, v0, *params)
    return runner.forward(recurrence, x, v0, params)


class _Recompute(torch.autograd.Function):
    """Keep the inputs only, and let the runner compute gradients from them."""

    @staticmethod
    def forward(
        ctx: Any,
        runner: ModuleType,
        recurrence: Recurrence,
        x: Tensor,
        v0: Tensor | None,
        *params: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        ctx.runner, ctx.recurrence = runner, recurrence
        ctx.save_for_backward(x, v0, *params)
        return runner.forward(recurrence, x, v0, params)

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor, grad_v: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a neuron can be differentiated once only (create_graph=True was asked for); "
                "use neuron_backend('plain') for higher derivatives"
            )
        x, v0, *params = ctx.saved_tensors
        grad_x, grad_v0, grad_params = ctx.runner.backward(
            ctx.recurrence, x, v0, params, grad_spikes, grad_v
        )
        return None, None, grad_x, grad_v0, *grad_params


def _memory_order(x: Tensor) -> list[int]:
    """Axes of ``x``, time first, the others from the slowest in memory to the fastest."""
    axes = range(1, x.ndim)
    if any(x.stride(axis) == 0 and x.shape[axis] > 1 for axis in axes):
        return [0, *axes]
    return [0, *sorted(axes, key=x.stride().__getitem__, reverse=True)]


def _inverse(order: list[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def _flatten(x: Tensor, order: list[int]) -> Tensor:
    """``x`` as ``[T, M]``, one view if its memory allows it: dense, or expanded over time."""
    if len(x) == 1:
        return x.squeeze(0).permute([axis - 1 for axis in order[1:]]).flatten().unsqueeze(0)
    flat = x.permute(order).flatten(1)
    return flat if flat.stride(0) in (0, flat.shape[1]) else flat.contiguous()
