"""The fast path with a compiler: the same step, compiled into one pass over memory.

Forward and backward are compiled apart, each from the one definition of the neuron: backward is
the vector-Jacobian product of the loop, which recomputes the membrane potential from the input.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from spikevision.ops import backend, chunked
from spikevision.ops.recurrence import Recurrence

_serial = itertools.count()


def forward(
    recurrence: Recurrence, x: Tensor, v0: Tensor | None, params: Sequence[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Compiled twin of :func:`spikevision.ops.chunked.forward`."""
    function = _compiled_forward(recurrence, *_shape_class(x, v0))
    try:
        with torch.no_grad():
            return function(_dynamic(x), _dynamic(v0), *params)
    except Exception as error:
        _fall_back_or_raise(error)
    return chunked.forward(recurrence, x, v0, params)


def backward(
    recurrence: Recurrence,
    x: Tensor,
    v0: Tensor | None,
    params: Sequence[Tensor],
    grad_spikes: Tensor,
    grad_v: Tensor | None,
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
    """Compiled twin of :func:`spikevision.ops.chunked.backward`."""
    grad_spikes = grad_spikes if _is_repeated(grad_spikes) else grad_spikes.contiguous()
    function = _compiled_backward(recurrence, *_shape_class(x, v0), _is_repeated(grad_spikes))
    try:
        with torch.no_grad():
            return function(
                _dynamic(grad_spikes),
                _dynamic(grad_v),
                _dynamic(x),
                _dynamic(v0),
                *params,
            )
    except Exception as error:
        _fall_back_or_raise(error)
    return chunked.backward(recurrence, x, v0, params, grad_spikes, grad_v)


def _shape_class(x: Tensor, v0: Tensor | None) -> tuple[Any, ...]:
    """What compiled code depends on besides the neuron. The size of ``x`` is not part of it."""
    return (
        len(x),
        _is_repeated(x),
        x.dtype,
        x.device,
        v0 is None,
        torch.is_inference_mode_enabled(),
    )


def _is_repeated(x: Tensor) -> bool:
    """Whether a tensor ``[T, M]`` is one row, shown at every time step."""
    return x.stride() == (0, 1)


@cache
def _compiled_forward(recurrence: Recurrence, *shape_class: Any) -> Callable[..., Any]:
    def forward(x: Tensor, v0: Tensor | None, *params: Tensor) -> tuple[Tensor, Tensor | None]:
        return recurrence.run(x, v0, params)

    return torch.compile(_with_own_cache(forward))


@cache
def _compiled_backward(recurrence: Recurrence, *shape_class: Any) -> Callable[..., Any]:
    def backward(
        grad_spikes: Tensor,
        grad_v: Tensor | None,
        x: Tensor,
        v0: Tensor | None,
        *params: Tensor,
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        return recurrence.pull_back(x, v0, params, grad_spikes, grad_v)

    return torch.compile(_with_own_cache(backward))


def _with_own_cache(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a function with its own code object.

    PyTorch counts compilations per code object and gives up after eight, so that all neurons of a
    process, with their thresholds, time steps and dtypes, would share eight.
    """
    assert isinstance(function, types.FunctionType)
    code = function.__code__.replace(co_name=f"neuron_{function.__name__}_{next(_serial)}")
    return types.FunctionType(
        code, function.__globals__, code.co_name, function.__defaults__, function.__closure__
    )


def _dynamic(tensor: Tensor | None) -> Tensor | None:
    """Tell the compiler that the number of neurons varies; time steps do not."""
    if tensor is not None:
        torch._dynamo.mark_dynamic(tensor, tensor.ndim - 1)
    return tensor


def _fall_back_or_raise(error: Exception) -> None:
    """Go on without the compiler if it failed and nobody insisted on it; raise all else."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    cause = getattr(error, "inner_exception", error)
    damaged = isinstance(cause, (ImportError, OSError)) and cache_dir() in str(cause)
    if not (damaged or isinstance(error, torch._dynamo.exc.TorchDynamoException)):
        raise error
    reason = " ".join([f"{type(cause).__name__}:", *str(cause).strip().splitlines()[:1]])
    remedy = backend.REMEDY
    if damaged:
        remedy = f"a compilation was cut off and left a damaged file: delete the folder {cache_dir()} and start again"
    if backend.get_neuron_backend() == "compiled":
        raise RuntimeError(f"the neuron did not compile: {reason}; {remedy}") from error
    backend.report_compiler_failure(reason, remedy)
