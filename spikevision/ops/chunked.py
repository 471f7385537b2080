"""The fast path without a compiler: all time steps of one cache-sized chunk after the other.

Steps run in place, in buffers made once per call. Nothing but the input is kept for the backward
pass, which charges each chunk again and then goes back through time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from spikevision.ops.dynamics import IN_PLACE, InPlaceStep
from spikevision.ops.integer_dynamics import InPlaceIntegerStep
from spikevision.ops.recurrence import Recurrence, state_dtype

CHUNK = 262_144
"""Neurons at a time. One megabyte of float32 per tensor: small enough for the cache, large
enough for PyTorch's overhead per operation and for its threads."""


def forward(
    recurrence: Recurrence, x: Tensor, v0: Tensor | None, params: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Run all time steps; no gradient is recorded.

    Args:
        recurrence: The neuron; one without an in-place twin runs in one piece.
        x: Input current ``[T, M]``.
        v0: Membrane potential ``[M]``, or None for rest.
        params: Tensor parameters of the neuron.

    Returns:
        Spikes ``[T, M]``, and the last membrane potential if ``v0`` was given, else None.
    """
    with torch.no_grad():
        step = _in_place(recurrence, params)
        if step is None:
            return recurrence.run(x, v0, params)
        spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        v_last = None if v0 is None else torch.empty_like(v0)
        h, after = _scratch(2, x)
        for cut, v in _chunks(x, v0, recurrence.v_rest):
            h, after = h[: len(v)], after[: len(v)]
            for x_t, s_t in zip(x[:, cut], spikes[:, cut], strict=True):
                step.fire_and_reset(step.charge(x_t, v, out=h), s_t, after)
                v = after
            if v_last is not None:
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
    """Gradients of :func:`forward`.

    Args:
        recurrence: The neuron; one without an in-place twin is run again under autograd.
        x: As for :func:`forward`; so are ``v0`` and ``params``.
        v0: See ``x``.
        params: See ``x``.
        grad_spikes: Gradient of the spikes ``[T, M]``.
        grad_v: Gradient of the last membrane potential ``[M]``; None if ``v0`` is None.

    Returns:
        Gradients of ``x``, of ``v0`` (None if it is None) and of ``params``.
    """
    step = _in_place(recurrence, params)
    if step is None:
        return recurrence.pull_back(x, v0, params, grad_spikes, grad_v)
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    grad_v0 = None if grad_v is None else grad_v.clone()
    on_decay = torch.zeros((), dtype=state_dtype(x), device=x.device)
    with torch.no_grad():
        scratch = _scratch(len(x) + 4, x)
        for cut, v in _chunks(x, v0, recurrence.v_rest):
            grad, *buffers = (row[: len(v)] for row in scratch)
            grad = grad.zero_() if grad_v0 is None else grad_v0[cut]
            on_decay += _reverse(
                step, x[:, cut], v, grad_spikes[:, cut], grad, grad_x[:, cut], buffers
            )
        grad_params: tuple[Tensor, ...] = ()
        if isinstance(step, InPlaceStep):
            grad_params = tuple(step.reverse_decay(on_decay).to(p.dtype) for p in params)
    return grad_x, grad_v0, grad_params


def _reverse(
    step: InPlaceStep | InPlaceIntegerStep,
    x: Tensor,
    v0: Tensor,
    grad_spikes: Tensor,
    grad: Tensor,
    grad_x: Tensor,
    buffers: Sequence[Tensor],
) -> Tensor | float:
    """Go through one chunk and back through time.

    It turns ``grad`` from the gradient of the last potential into that of ``v0`` and writes
    ``grad_x``; ``buffers`` are one per time step and three. Returns the gradient of ``1 / tau`` if it is learned, else 0.
    """
    *hs, after, slope, kept = buffers

    def before(t: int) -> Tensor:
        if t == 0:
            return v0
        step.fire_and_reset(hs[t - 1], kept, after)
        return after

    for t, h in enumerate(hs):
        step.charge(x[t], before(t), out=h)
    on_decay: Tensor | float = 0.0
    for t, h in reversed(list(enumerate(hs))):
        step.reverse_fire(h, grad_spikes[t], grad, slope, kept)
        if isinstance(step, InPlaceStep) and isinstance(step.decay, Tensor):
            on_decay += torch.dot(step.drive(x[t], before(t), out=slope), grad)
        step.reverse_charge(grad, grad_x[t])
    return on_decay


def _in_place(
    recurrence: Recurrence, params: Sequence[Tensor]
) -> InPlaceStep | InPlaceIntegerStep | None:
    make = IN_PLACE.get(recurrence.step)
    return None if make is None else make(*params, **dict(recurrence.settings))


def _chunks(x: Tensor, v0: Tensor | None, v_rest: float) -> Iterator[tuple[slice, Tensor]]:
    """Each chunk of neurons, with the membrane potentials that they start from (read only)."""
    (rest,) = _scratch(1, x)
    rest.fill_(v_rest)
    for start in range(0, x.shape[1], CHUNK):
        cut = slice(start, min(start + CHUNK, x.shape[1]))
        yield cut, rest[: cut.stop - start] if v0 is None else v0[cut]


def _scratch(rows: int, x: Tensor) -> tuple[Tensor, ...]:
    """Buffers for the potentials of one chunk."""
    size = min(CHUNK, x.shape[1])
    return torch.empty(rows, size, dtype=state_dtype(x), device=x.device).unbind()
