"""What a conversion by spatio-temporal approximation is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

__all__ = ["PRESETS", "STAConfig"]

PRESETS: dict[str, dict[str, Any]] = {
    # as published: signed burst neurons that start empty, operators of hinges, thresholds by mean squared error
    "sta": {
        "neuron": "burst",
        "operators": "hinges",
        "half_quantum_start": False,
        "threshold": "mse",
        "encode_products": False,
    },
    # start at half a quantum; thresholds that fit what a burst neuron can send in 8 steps
    "sta+": {
        "neuron": "burst",
        "operators": "hinges",
        "half_quantum_start": True,
        "threshold": "matched",
        "threshold_steps": 8,
        "encode_products": False,
    },
    # exact operators with expectation compensation; multi-threshold neurons before every product; beyond what was
    # published: differential coding
    "ecmt": {
        "neuron": "multi_threshold",
        "operators": "exact",
        "half_quantum_start": False,
        "threshold": "quantile",
        "encode_products": True,
        "coding": "differential",
    },
    # no neurons at all: equals the ANN at every step, to find out where a conversion goes wrong
    "exact": {
        "neuron": "none",
        "operators": "exact",
        "half_quantum_start": False,
        "threshold": "mse",
        "encode_products": False,
    },
}


@dataclass(frozen=True, kw_only=True)
class STAConfig:
    """Settings of a conversion. A field that is None takes the value of the preset.

    Attributes:
        preset: ``sta`` (as published), ``sta+``, ``ecmt`` or ``exact``.
        time_steps: Number of steps T of ``snn(x)``, and the horizon for which thresholds are searched.
        neuron: ``burst``, ``multi_threshold`` or ``none``.
        operators: ``hinges`` for non-linear functions made of spiking neurons, ``exact`` for expectation compensation.
        half_quantum_start: Whether burst neurons start with half a quantum, which turns a floor into a rounding.
        threshold: ``mse`` (as published), ``matched`` (of the burst neuron's own transfer) or ``quantile``.
        threshold_steps: Horizon of the threshold search; None takes that of the preset, else ``time_steps``.
        encode_products: Whether the factors of products (q, k, v) are spikes as well.
        coding: What the spikes of multi-threshold neurons carry: ``rate``, or ``differential``, what has changed of the
            mean, so that its error shrinks with every spike and a stream at rest is silent.
        softmax_feedback: Whether the encoder of attention feeds back what it sent, as the published code does.
        burst: Half-size spikes that follow a main spike in the same step, at most.
        levels: Thresholds of a multi-threshold neuron, each half of the one before.
        quantile: Share of the values that a multi-threshold neuron covers with one spike; what lies above it is cut off.
        activation_units: Neurons of the operator of GELU and its like, per channel.
        rsqrt_units: Neurons of the inverse root in layer normalisation.
        exp_units: Pieces of the exponential in softmax.
        reciprocal_units: Pieces of the reciprocal in softmax.
        unsupported: ``error``, or ``exact`` to compute functions without a handler exactly on running means.

    Raises:
        ValueError: If a value is not one of these, or a number is too small.

    Source:
        Jiang et al., "Spatio-Temporal Approximation: A Training-Free SNN Conversion for Transformers", ICLR 2024;
        ``ecmt``: Huang et al., "Towards High-performance Spiking Transformers from ANN to SNN Conversion", ACM MM 2024;
        its coding: Huang et al., "Differential Coding for Training-Free ANN-to-SNN Conversion", ICML 2025.
    """

    preset: Literal["sta", "sta+", "ecmt", "exact"] = "sta"
    time_steps: int = 32
    neuron: Literal["burst", "multi_threshold", "none"] | None = None
    operators: Literal["hinges", "exact"] | None = None
    half_quantum_start: bool | None = None
    threshold: Literal["mse", "matched", "quantile"] | None = None
    threshold_steps: int | None = None
    encode_products: bool | None = None
    coding: Literal["rate", "differential"] | None = None
    softmax_feedback: bool = True
    burst: int = 2
    levels: int = 8
    quantile: float = 1.0
    activation_units: int = 32
    rsqrt_units: int = 16
    exp_units: int = 32
    reciprocal_units: int = 64
    unsupported: Literal["error", "exact"] = "error"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        at_least_1 = {"time_steps": self.time_steps, "levels": self.levels}
        if self.threshold_steps is not None:
            at_least_1["threshold_steps"] = self.threshold_steps
        for name, value in at_least_1.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("activation_units", "rsqrt_units", "exp_units", "reciprocal_units"):
            if getattr(self, name) < 6:
                raise ValueError(f"{name} must be at least 6, got {getattr(self, name)}")
        if self.burst < 0 or not 0 < self.quantile <= 1:
            raise ValueError(
                f"burst must not be negative and quantile in (0, 1], got {self.burst} and {self.quantile}"
            )
        defaults = {"threshold_steps": self.time_steps, "coding": "rate", **PRESETS[self.preset]}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )

    def to_dict(self) -> dict[str, Any]:
        """All values, to be written to JSON; ``STAConfig(**values)`` gives an equal object."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


CHOICES = {
    "neuron": ("burst", "multi_threshold", "none"),
    "operators": ("hinges", "exact"),
    "threshold": ("mse", "matched", "quantile"),
    "coding": ("rate", "differential"),
    "unsupported": ("error", "exact"),
}
