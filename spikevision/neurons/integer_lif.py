"""Integer neuron: trained on whole numbers of spikes, run as binary spikes after ``unroll_``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spikevision.neurons.base import SpikingNeuron
from spikevision.ops import ROUNDINGS, WINDOWS, integer_lif_step
from spikevision.ops.slots import SpikeSlots, encode_slots, total
from spikevision.registry import MODELS


@MODELS.register_module()
class IntegerLIF(SpikingNeuron):
    """Neuron that fires 0 to D spikes in one time step, :func:`spikevision.ops.integer_lif_step`.

    It is trained on these whole numbers; :func:`spikevision.neurons.unroll_` turns each of them into binary spikes. At one time step it is ``round(clip(x, 0, D))``; over several, what was not
    fired stays in the membrane potential. The published models: E-SpikeFormer 5M to 19M ``normalise=True`` (but not
    before the classifier); its large models ``rounding='half_up', window='strict'`` as well.

    Args:
        levels: Largest number of spikes D in one time step, at least 1.
        decay: What is left of the potential after one time step, 0 to 1 (1: no leak).
        rounding: ``half_even`` or ``half_up``.
        window: Whether the gradient passes at 0 and D themselves (``inclusive``) or only between (``strict``).
        normalise: Whether to hand on ``S / D`` instead of ``S``.
        v_threshold: Potential that one spike stands for, above 0.
        detach_reset: Whether the reset is a constant in the backward pass.

    Raises:
        ValueError: If a setting is out of its range.

    Source: Luo et al., arXiv:2407.20708 (I-LIF); Yao et al., Spike-driven Transformer V3, arXiv:2411.16061 (spike firing
        approximation).
    """

    def __init__(
        self,
        levels: int = 4,
        *,
        decay: float = 0.25,
        rounding: str = "half_even",
        window: str = "inclusive",
        normalise: bool = False,
        v_threshold: float = 1.0,
        detach_reset: bool = True,
    ) -> None:
        super().__init__(
            v_threshold=v_threshold,
            v_reset=None,
            detach_reset=detach_reset,
            spike_packing=False,  # one bit holds no whole number
        )
        if not isinstance(levels, int) or levels < 1:
            raise ValueError(f"levels must be a whole number of at least 1, got {levels!r}")
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be between 0 and 1 (no leak), got {decay}")
        if rounding not in ROUNDINGS:
            raise ValueError(f"unknown rounding {rounding!r}; known are {list(ROUNDINGS)}")
        if window not in WINDOWS:
            raise ValueError(f"unknown window {window!r}; known are {list(WINDOWS)}")
        self.levels = levels
        self.decay = float(decay)
        self.rounding = rounding
        self.window = window
        self.normalise = bool(normalise)
        self.unrolled = False

    def forward(self, x: Tensor, state: Tensor | None = None, **_: Any) -> Any:
        """Run all time steps, see :meth:`SpikingNeuron.forward`.

        Unrolled, it takes a membrane potential or spikes in slots ``[S * T, N, ...]``, whose slots it adds up, and
        gives binary spikes ``[D * T, N, ...]``.

        Raises:
            ValueError: As :meth:`SpikingNeuron.forward`; unrolled, in training mode or if memory is short.
        """
        if not self.unrolled:
            return super().forward(x, state) if state is not None else super().forward(x)
        if self.training:
            raise ValueError("an unrolled neuron is for inference: call model.eval()")
        with torch.no_grad():
            if state is None:
                return self._in_slots(super().forward(total(x)))
            counts, state = super().forward(total(x), state)
            return self._in_slots(counts), state

    def _in_slots(self, counts: Tensor) -> SpikeSlots:
        return encode_slots(counts, self.levels, normalised=self.normalise)

    def _dynamics(self) -> tuple[Callable[..., Any], tuple[Tensor, ...], dict[str, Any]]:
        settings = {
            "levels": self.levels,
            "decay": self.decay,
            "v_threshold": self.v_threshold,
            "rounding": self.rounding,
            "window": self.window,
            "normalise": self.normalise and not self.unrolled,
            "detach_reset": self.detach_reset,
        }
        return integer_lif_step, (), settings

    def _shown(self) -> dict[str, Any]:
        shown = {**super()._shown(), "normalise": self.normalise}
        return {**shown, "unrolled": True} if self.unrolled else shown
