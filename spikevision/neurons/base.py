"""What all spiking neurons share: threshold, reset, surrogate, and state as an argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn

from spikevision.ops import run_steps, state_dtype
from spikevision.ops.firing import Firing
from spikevision.ops.normalise import LIFSettings
from spikevision.ops.packing import mark_spikes
from spikevision.ops.surrogate import resolve_surrogate


class SpikingNeuron(nn.Module):
    """Base class of the spiking neurons; a subclass names its step and the step's settings.

    Called on ``x`` alone, a neuron starts from rest, runs all time steps of ``x`` and forgets.
    Called on ``x`` and a state, it goes on from there and returns the state as well, so that a
    stream can be cut into pieces::

        spikes = neuron(x)                                     # from rest
        spikes, state = neuron(x, neuron.initial_state(x))     # the same, and remember
        more, state = neuron(next_x, state)                    # go on

    A neuron keeps no state between calls: there is nothing to reset, and nothing of it in the
    state dict. Under float16 or bfloat16 (autocast) the membrane potential is computed and handed
    out in float32; spikes have the dtype of the input.

    Args:
        v_threshold: Membrane potential at which the neuron fires.
        v_reset: Potential after a spike (hard reset), or None to subtract the threshold (soft
            reset).
        detach_reset: Whether the reset is a constant in the backward pass.
        surrogate: Surrogate gradient, a key of :data:`spikevision.ops.SURROGATES`.
        alpha: Steepness of the surrogate, or None for its default.
        spike_packing: Whether layers that the spikes enter keep them for the backward pass as
            bits, see :mod:`spikevision.ops.packing`: less memory, equal gradients.

    Raises:
        ValueError: If the threshold is not above the reset potential (0 under a soft reset), a
            number is not finite, or the surrogate is unknown.

    Attributes:
        firing: What runs the neuron from rest, and may count its spikes, if somebody has put it there; else None.
    """

    def __init__(
        self,
        *,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        detach_reset: bool = True,
        surrogate: str = "sigmoid",
        alpha: float | None = None,
        spike_packing: bool = True,
    ) -> None:
        super().__init__()
        self.firing: Firing | None = None
        self.spike_packing = bool(spike_packing)
        self.v_threshold = float(v_threshold)
        self.v_reset = None if v_reset is None else float(v_reset)
        self.detach_reset = bool(detach_reset)
        self.surrogate, self.alpha = resolve_surrogate(surrogate, alpha)
        if not (math.isfinite(self.v_threshold) and math.isfinite(self.v_rest)):
            raise ValueError(
                f"v_threshold and v_reset must be finite, got {v_threshold} and {v_reset}"
            )
        if self.v_threshold <= self.v_rest:
            raise ValueError(
                f"v_threshold must be above the reset potential {self.v_rest}, got {v_threshold}"
            )

    @property
    def v_rest(self) -> float:
        """Membrane potential at rest: ``v_reset``, or 0 under a soft reset."""
        return 0.0 if self.v_reset is None else self.v_reset

    def initial_state(self, x: Tensor) -> Tensor:
        """Membrane potential at rest, for an input like ``x``.

        Args:
            x: Input current ``[T, N, ...]``.

        Returns:
            ``[N, ...]`` on the device of ``x``, in its dtype or, for half precision, float32.

        Raises:
            ValueError: If ``x`` is not a floating-point tensor ``[T, N, ...]`` with T at least 1.
        """
        self._check_input(x)
        return torch.full_like(x[0], self.v_rest, dtype=state_dtype(x))

    @overload
    def forward(
        self, x: Tensor, *, instead: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor: ...

    @overload
    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]: ...

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,
        *,
        instead: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run all time steps of ``x``.

        Args:
            x: Input current ``[T, N, ...]``.
            state: Membrane potential ``[N, ...]`` to go on from, or None to start from rest.
            instead: What computes the spikes of this neuron from ``x`` in one pass with a normalisation before it;
                hooks of the neuron then see as its input what is not normalised yet.

        Returns:
            Spikes of the shape, dtype and memory layout of ``x``; with a state given, also the
            state after the last time step.

        Raises:
            ValueError: If ``x`` is not a floating-point tensor ``[T, N, ...]`` with T at least 1,
                or the state does not fit it.
        """
        self._check_input(x)
        if instead is not None:
            return self._marked(instead(x))
        step, params, settings = self._dynamics()
        if state is None:
            if self.firing is not None:
                fired = self.firing.fire(x, LIFSettings.of(step, settings, trains=False))
                if fired is not None:
                    return fired
            return self._marked(run_steps(step, x, self.v_rest, *params, **settings)[0])
        self._check_state(x, state)
        spikes, last = run_steps(step, x, state, *params, **settings)
        assert last is not None
        return self._marked(spikes), last

    def _marked(self, spikes: Tensor) -> Tensor:
        return mark_spikes(spikes) if self.spike_packing and spikes.requires_grad else spikes

    def lif_settings(self) -> LIFSettings | None:
        """What the kernel of :func:`spikevision.ops.normalise.batch_norm_lif` runs in its place, or None."""
        step, _, settings = self._dynamics()
        return LIFSettings.of(step, settings, trains=True)

    def extra_repr(self) -> str:
        """Settings as they would be passed to the constructor."""
        return ", ".join(f"{key}={value!r}" for key, value in self._shown().items())

    def _dynamics(self) -> tuple[Callable[..., Any], tuple[Tensor, ...], dict[str, Any]]:
        """The step of :mod:`spikevision.ops.dynamics`, its tensor parameters and its settings."""
        raise NotImplementedError

    def _shown(self) -> dict[str, Any]:
        """What :meth:`extra_repr` shows."""
        return self._dynamics()[2]

    def _fire_settings(self) -> dict[str, Any]:
        """Settings of :func:`spikevision.ops.dynamics.fire_and_reset`."""
        return {
            "v_threshold": self.v_threshold,
            "v_reset": self.v_reset,
            "detach_reset": self.detach_reset,
            "surrogate": self.surrogate,
            "alpha": self.alpha,
        }

    @staticmethod
    def _check_input(x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(
                f"a neuron takes [T, N, ...], time first, got shape {tuple(x.shape)}; "
                "for a single time step use x.unsqueeze(0)"
            )
        if x.shape[0] < 1:
            raise ValueError(f"a neuron needs at least one time step, got shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(
                f"a neuron takes a floating-point input current, got {x.dtype}; use x.float()"
            )

    @staticmethod
    def _check_state(x: Tensor, state: Tensor) -> None:
        if state.shape != x.shape[1:]:
            raise ValueError(
                f"state of shape {tuple(state.shape)} does not fit input of shape "
                f"{tuple(x.shape)}: expected {tuple(x.shape[1:])}; start a new stream with "
                "neuron.initial_state(x)"
            )
        if state.dtype != state_dtype(x):
            raise ValueError(
                f"state of {state.dtype} does not fit input of {x.dtype}: "
                f"expected {state_dtype(x)}; start a new stream with neuron.initial_state(x)"
            )
