import pytest
import torch
from inference import Task, fire_at, firing_rate
from torch import nn

from spikevision.neurons import LIF


class Neurons(nn.Module):
    """Normalised noise into LIF neurons, one time step: the potential is half of the input."""

    def __init__(self):
        super().__init__()
        self.norm, self.lif = nn.BatchNorm1d(1), LIF(v_threshold=1.0)

    def forward(self, x):
        return self.lif(self.norm(x).unsqueeze(0))


def test_thresholds_are_lowered_until_as_many_neurons_fire_as_wanted():
    """Of a normal distribution 2.3 % lie above 2, where a threshold of 1 is reached, and 15.9 % above 1."""
    model = Neurons().eval()
    images = torch.randn(100_000, 1)
    task = Task(model, lambda network: network(images), model, images, nn.Identity)
    assert firing_rate(task) == pytest.approx(0.023, abs=0.003)
    assert fire_at(task, 0.159) == pytest.approx(0.159, abs=0.003)
    assert model.lif.v_threshold == pytest.approx(0.5, abs=0.01)
    assert firing_rate(task) == pytest.approx(0.159, abs=0.003)
