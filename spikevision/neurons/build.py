"""Build a neuron from a config."""

from __future__ import annotations

from typing import Any

from spikevision.neurons.base import SpikingNeuron
from spikevision.registry import MODELS


def build_neuron(cfg: dict[str, Any] | None = None, **overrides: Any) -> SpikingNeuron:
    """Build a neuron from its config.

    Args:
        cfg: A config such as ``dict(type='LIF', tau=2.0)``; None stands for ``dict(type='LIF')``.
            Without a ``type`` it is a LIF. It is not changed.
        **overrides: Settings that win over those of ``cfg``, such as the ``v_threshold`` of an
            attention's neuron.

    Returns:
        A new neuron.

    Raises:
        ValueError: If ``cfg`` is not a dict, or builds something that is not a neuron.
    """
    if cfg is not None and not isinstance(cfg, dict):
        raise ValueError(f"a neuron's config is a dict such as dict(type='LIF'), got {cfg!r}")
    cfg = {"type": "LIF", **(cfg or {}), **overrides}
    if isinstance(cfg["type"], str) and "." not in cfg["type"]:
        cfg["type"] = (
            f"{MODELS.scope}.{cfg['type']}"  # found whatever mm library's scope is current
        )
    neuron = MODELS.build(cfg)
    if not isinstance(neuron, SpikingNeuron):
        raise ValueError(f"config {cfg!r} builds a {type(neuron).__name__}, not a SpikingNeuron")
    return neuron
