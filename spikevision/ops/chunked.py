"""The fast path without a compiler: all time steps of one cache-sized chunk after the other.

Nothing but the input is kept for the backward pass, which recomputes each chunk under autograd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from spikevision.ops.recurrence import Recurrence

CHUNK = 262_144
"""Neurons at a time. One megabyte of float32 per tensor: small enough for the cache, large
enough for PyTorch's overhead per operation and for its threads."""


def _chunks(x: Tensor) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, x.shape[1], CHUNK))


def forward(
    recurrence: Recurrence, x: Tensor, v0: Tensor | None, params: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Run all time steps; no gradient is recorded.

    Args:
        recurrence: The neuron.
        x: Input current ``[T, M]``.
        v0: Membrane potential ``[M]``, or None for rest.
        params: Tensor parameters of the neuron.

    Returns:
        Spikes ``[T, M]``, and the last membrane potential if ``v0`` was given, else None.
    """
    spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    v_last = None if v0 is None else torch.empty_like(v0)
    with torch.no_grad():
        for cut in _chunks(x):
            v = None if v0 is None else v0[cut]
            for t, (s, after) in enumerate(recurrence.steps(x[:, cut].unbind(0), v, params)):
                spikes[t, cut], v = s, after
            if v_last is not None and v is not None:
                v_last[cut] = v
    return spikes, v_last


def backward(
    recurrence: Recurrence,
    x: Tensor,
    v0: Tensor | None,
    params: Sequence[Tensor],
    grad_spikes: Tensor,
    grad_v: Tensor | None,
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """Gradients of :func:`forward`, by running it again.

    Args:
        recurrence: The neuron.
        x: As for :func:`forward`; so are ``v0`` and ``params``.
        v0: See ``x``.
        params: See ``x``.
        grad_spikes: Gradient of the spikes ``[T, M]``.
        grad_v: Gradient of the last membrane potential ``[M]``; None if ``v0`` is None.

    Returns:
        Gradients of ``x``, of ``v0`` (None if it is None) and of ``params``.
    """
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_v0 = None if v0 is None else torch.empty_like(v0)
    grad_params = tuple(torch.zeros_like(p) for p in params)
    for cut in _chunks(x):
        start = None if v0 is None else v0[cut]
        end = None if grad_v is None else grad_v[cut]
        on_x, on_v0, on_params = _chunk_backward(
            recurrence, x[:, cut], start, params, grad_spikes[:, cut], end
        )
        for t, g in enumerate(on_x):
            grad_x[t, cut] = g
        if grad_v0 is not None:
            grad_v0[cut] = on_v0[0]
        for total, g in zip(grad_params, on_params, strict=True):
            total += g
    return grad_x, grad_v0, grad_params


def _chunk_backward(
    recurrence: Recurrence,
    x: Tensor,
    v0: Tensor | None,
    params: Sequence[Tensor],
    grad_spikes: Tensor,
    grad_v: Tensor | None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Gradients of one chunk: one of ``x`` per time step, none or one of ``v0``, of ``params``."""
    time_steps, states = len(x), 0 if v0 is None else 1
    inputs = [*x.unbind(0), *([] if v0 is None else [v0]), *params]
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    xs, vs, ps = _split(inputs, time_steps, states)
    with torch.enable_grad():
        spikes, potentials = zip(*recurrence.steps(xs, vs[0] if vs else None, ps), strict=True)
    outputs, grads = list(spikes), list(grad_spikes.unbind(0))
    if grad_v is not None:
        outputs.append(potentials[-1])
        grads.append(grad_v)
    return _split(torch.autograd.grad(outputs, inputs, grads), time_steps, states)


def _split(
    tensors: Sequence[Tensor], first: int, second: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The first ``first``, the next ``second``, and all others."""
    end = first + second
    return tuple(tensors[:first]), tuple(tensors[first:end]), tuple(tensors[end:])
