"""Run a neuron's step over time: plain autograd loop, or recomputation in cache-sized chunks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

BACKENDS = ('auto', 'compiled', 'chunked', 'plain')
_backend = os.environ.get('SPIKEVISION_NEURON_BACKEND', 'auto')


def set_neuron_backend(name: str) -> None:
    global _backend
    if name not in BACKENDS:
        raise ValueError(f'unknown neuron backend {name!r}; known ones: {", ".join(BACKENDS)}')
    _backend = name


@contextmanager
def neuron_backend(name: str) -> Iterator[None]:
    previous = _backend
    set_neuron_backend(name)
    try:
        yield
    finally:
        set_neuron_backend(previous)


def state_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


def run_steps(step: Callable, x: Tensor, v0: Tensor, *params: Tensor, **hyper):
    """Placeholder: plain loop; the fast paths arrive in place."""
    dtype = state_dtype(x)
    v = v0 if isinstance(v0, Tensor) else torch.full_like(x[0], v0, dtype=dtype)
    spikes = []
    for x_t in x.unbind(0):
        s, v = step(x_t.to(dtype), v, *params, **hyper)
        spikes.append(s.to(x.dtype))
    return torch.stack(spikes), v
