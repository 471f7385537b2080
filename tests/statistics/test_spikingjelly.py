"""Our counts beside those of SpikingJelly's counter, which looks at the operators instead of the layers."""

import pytest
import torch
from brute_force import spikes_like
from torch import nn

from spikevision.statistics import SpikeRecorder

op_counter = pytest.importorskip("spikingjelly.activation_based.op_counter")


def theirs(model: nn.Module, x: torch.Tensor) -> int:
    counter = op_counter.SynOpCounter()
    with op_counter.DispatchCounterMode([counter]), torch.no_grad():
        model(x)
    return counter.get_total()


def ours(model: nn.Module, x: torch.Tensor) -> int:
    with SpikeRecorder(model) as recorder, torch.no_grad():
        model(x)
    return sum(entry.total("synops") for entry in recorder.record.layers.values())


class Fires(nn.Module):
    """Spikes where the input is positive."""

    def forward(self, x):
        return (x > 0).to(x)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        nn.Conv2d(4, 6, (3, 2), dilation=2, bias=False),
        nn.Linear(7, 5, bias=False),
    ],
    ids=str,
)
def test_a_layer_on_spikes_counts_the_same(layer):
    x = spikes_like(2, 4, 6, 7)
    assert ours(layer, x) == theirs(layer, x) > 0


def test_a_network_on_spikes_counts_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, padding=1, bias=False),
        Fires(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
        Fires(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 5, 10, bias=False),
    )
    x = spikes_like(3, 2, 7, 9)
    assert ours(model, x) == theirs(model, x) > 0


def test_sums_of_two_spikes_are_two_spikes_for_us_and_dense_for_them():
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    first, second = spikes_like(1, 2, 5, 5, seed=1), spikes_like(1, 2, 5, 5, seed=2)
    assert ours(layer, first + second) == ours(layer, first) + ours(layer, second)
    assert theirs(layer, first + second) == 0  # not binary: MACs instead
