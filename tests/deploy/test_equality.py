import torch
from torch import nn

from spikevision.deploy import compare
from spikevision.neurons import IF


class Net(nn.Module):
    """Logits are the spike counts of an IF neuron over one time step."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.neuron = IF()

    def forward(self, x):
        return self.gain * self.neuron((self.gain * x)[None])[0]


def test_differences_are_counted_spike_by_spike():
    # thresholds at 1: of [0.6, 1.0] the gain of 2 fires both, the gain of 1 the second alone
    images = torch.tensor([[0.6, 1.0], [0.1, 0.2]])
    found = compare(Net(2.0), Net(1.0), [images])
    assert found.images == 2
    assert found.differing_spikes == {"neuron": 0.25}
    assert found.largest_difference == 2.0
    assert found.output_scale == 2.0
    assert found.same_answer == 0.5  # [2, 2] against [0, 1]; [0, 0] both
