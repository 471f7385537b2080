import pytest
import torch
from torch import nn

from spikevision.neurons import IntegerLIF, check_unrolled_memory, unroll_
from spikevision.neurons import unroll_memory as unroll_memory_module

HUGE = 10**9


def network(levels: int = 4) -> nn.Module:
    """The second neuron has the most values: 6 of each 3 that come in."""
    return nn.Sequential(IntegerLIF(levels), nn.Linear(3, 6), IntegerLIF(levels)).eval()


@pytest.mark.parametrize("unrolled", [False, True])
def test_the_largest_layer_is_what_its_spikes_will_take(monkeypatch, unrolled):
    asked = []
    monkeypatch.setattr(unroll_memory_module, "check_memory", lambda *args: asked.append(args))
    model = unroll_(network()) if unrolled else network()
    check_unrolled_memory(model, (2, 5, 3))
    (needed, device, what) = asked[0]
    assert needed == 4 * 2 * 5 * 6 * (4 + 1)  # D x T x N x neurons, a float and a byte each
    assert device == torch.device("cpu")
    assert what == "8 steps of spikes (T x D) of the neuron '2' for input (2, 5, 3)"
    assert [neuron.unrolled for neuron in (model[0], model[2])] == [unrolled] * 2
    assert not model[0]._forward_hooks


def test_unroll_refuses_what_would_not_fit_and_changes_nothing():
    model = network(HUGE)
    with pytest.raises(ValueError, match=r"2000000000 steps of spikes .* need [0-9.]+ GB and"):
        unroll_(model, (2, 100, 3))
    assert not model[0].unrolled
    assert model[1].weight.requires_grad
    assert unroll_(model, (2, 0, 3)) is model  # no images, no spikes
