from types import SimpleNamespace

import pytest
import torch
from torch import nn

from spikevision.neurons import LIF
from spikevision.neurons.relu import ReLU
from spikevision.statistics import FiringCheckHook


class Chain(nn.Module):
    """Two neurons behind each other; the first sees the input times a gain."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = 1.0
        self.first, self.second = LIF(), LIF()

    def forward(self, x):
        return self.second(self.first(self.gain * x) * 4)


@pytest.fixture
def said(monkeypatch):
    """What the hook says, one text per warning."""
    texts: list[str] = []
    logger = SimpleNamespace(warning=texts.append)
    monkeypatch.setattr(
        "spikevision.statistics.firing_check.MMLogger.get_current_instance", lambda: logger
    )
    return texts


def iterate(hook: FiringCheckHook, model: nn.Module, *, gains: list[float], low=0.0) -> None:
    """One training iteration per gain; half of the neurons see ``low``, the others enough to fire at gain 1."""
    x = torch.tensor([low, 4.0]).expand(2, 3, 2)
    for index, gain in enumerate(gains):
        runner = SimpleNamespace(iter=index, model=model)
        model.gain = gain
        hook.before_train_iter(runner, index)
        model(x)
        hook.after_train_iter(runner, index)


def test_a_layer_that_falls_silent_is_named_once_and_again_when_it_fires(said):
    iterate(FiringCheckHook(interval=1), Chain(), gains=[1, 0, 0, 1])
    assert [text.split(":")[:2] for text in said] == [
        ["iteration 2", " first (rate 0.000) is silent"],
        ["iteration 2", " second (rate 0.000) is silent"],
        ["iteration 4", " first (rate 0.500) works again"],
        ["iteration 4", " second (rate 0.500) works again"],
    ]


def test_a_layer_that_always_fires_is_saturated(said):
    iterate(FiringCheckHook(interval=1), Chain(), gains=[1, 1], low=2.0)
    assert ["is saturated" in text for text in said] == [True, True]


def test_only_iterations_that_are_due_are_looked_at_and_nothing_stays_in_the_model(said):
    model = Chain()
    iterate(FiringCheckHook(interval=3), model, gains=[1, 0, 0, 1])
    assert said == []
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_without_spikes_is_left_alone(said):
    iterate(FiringCheckHook(interval=1), nn.Sequential(ReLU()), gains=[1])
    assert said == []


def test_an_interval_below_1_is_refused():
    with pytest.raises(ValueError, match="interval must be at least 1, got 0"):
        FiringCheckHook(interval=0)
