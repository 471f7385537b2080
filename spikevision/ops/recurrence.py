"""A neuron's step with its settings, run over time as a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def state_dtype(x: Tensor) -> torch.dtype:
    """Dtype of the membrane potential for an input ``x``: its own, float32 for half precision."""
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


@dataclass(frozen=True)
class Recurrence:
    """One neuron's recurrence over time; hashable, so that compiled code can be kept per neuron.

    Attributes:
        step: A step of :mod:`spikevision.ops.dynamics`,
            ``step(x, v, *params, **settings) -> (spikes, v)``.
        settings: The keyword arguments of ``step`` as pairs.
        v_rest: Membrane potential to start from when there is no state.
    """

    step: Callable[..., tuple[Tensor, Tensor]]
    settings: tuple[tuple[str, Any], ...]
    v_rest: float

    def steps(
        self, xs: Iterable[Tensor], v: Tensor | None, params: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield spikes and membrane potential after each time step.

        Args:
            xs: Input current of each time step.
            v: Membrane potential to start from, or None for rest.
            params: Tensor parameters of the step.
        """
        settings = dict(self.settings)
        for x in xs:
            dtype = state_dtype(x)
            if v is None:
                v = torch.full_like(x, self.v_rest, dtype=dtype)
            s, v = self.step(x.to(dtype), v, *params, **settings)
            yield s.to(x.dtype), v

    def run(
        self, x: Tensor, v0: Tensor | None, params: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Run all time steps under plain autograd.

        Args:
            x: Input current ``[T, ...]``.
            v0: Membrane potential ``[...]`` to start from, or None for rest.
            params: Tensor parameters of the step.

        Returns:
            Spikes ``[T, ...]``, and the last membrane potential if ``v0`` was given, else None.
        """
        spikes, potentials = zip(*self.steps(x.unbind(0), v0, params), strict=True)
        return torch.stack(spikes), None if v0 is None else potentials[-1]

    def pull_back(
        self,
        x: Tensor,
        v0: Tensor | None,
        params: Sequence[Tensor],
        grad_spikes: Tensor,
        grad_v: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        """Gradients of :meth:`run`, by running it again under autograd.

        Args:
            x: As for :meth:`run`; so are ``v0`` and ``params``.
            v0: See ``x``.
            params: See ``x``.
            grad_spikes: Gradient of the spikes, of the shape of ``x``.
            grad_v: Gradient of the last membrane potential; None if ``v0`` is None.

        Returns:
            Gradients of ``x``, of ``v0`` (None if it is None) and of ``params``.
        """
        if v0 is None:
            vjp = torch.func.vjp(lambda x, *ps: self.run(x, None, ps)[0], x, *params)[1]
            grad_x, *grad_params = vjp(grad_spikes)
            return grad_x, None, tuple(grad_params)
        vjp = torch.func.vjp(lambda x, v, *ps: self.run(x, v, ps), x, v0, *params)[1]
        grad_x, grad_v0, *grad_params = vjp((grad_spikes, grad_v))
        return grad_x, grad_v0, tuple(grad_params)
