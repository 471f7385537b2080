import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikevision.neurons import IF, LIF, IntegerLIF, ReLU, unroll_
from spikevision.ops import SpikeSlots, total

ROUNDINGS = st.sampled_from(["half_even", "half_up"])


def network(**neuron):
    """Two neurons with a layer between, on ``[T, N, 6]``, whose potentials reach all levels."""
    torch.manual_seed(0)
    layers = IntegerLIF(**neuron), nn.Linear(6, 6), IntegerLIF(**neuron), nn.Linear(6, 3)
    return nn.Sequential(*layers).double().eval()


@settings(max_examples=40, deadline=None)
@given(
    levels=st.integers(1, 9),
    time_steps=st.integers(1, 3),
    images=st.integers(0, 3),
    rounding=ROUNDINGS,
    normalise=st.booleans(),
)
def test_unrolled_answers_the_same(levels, time_steps, images, rounding, normalise):
    model = network(levels=levels, rounding=rounding, normalise=normalise)
    x = torch.randn(time_steps, images, 6, dtype=torch.float64).mul(levels)
    with torch.no_grad():
        expected = model(x)
        assert unroll_(model) is model
        torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-12)


def test_spikes_come_in_t_times_d_binary_steps_and_sum_to_the_numbers():
    neuron = IntegerLIF(4).eval()
    x = torch.randn(2, 3, 5).mul(4)
    numbers = neuron(x)
    spikes = unroll_(neuron)(x)
    assert spikes.shape == (8, 3, 5)
    assert set(spikes.unique().tolist()) == {0, 1}
    assert torch.equal(total(spikes), numbers)
    assert not spikes.requires_grad
    assert "unrolled=True" in repr(neuron)


def test_a_stream_goes_on_from_its_state():
    neuron = IntegerLIF(4).eval()
    x = torch.randn(2, 3, 5).mul(4)
    expected, end = neuron(x, neuron.initial_state(x))
    unroll_(neuron)
    first, state = neuron(x[:1], neuron.initial_state(x))
    second, state = neuron(x[1:], state)
    assert torch.equal(torch.cat([total(first), total(second)]), expected)
    assert torch.equal(state, end)
    assert isinstance(first, SpikeSlots)


def test_parts_that_say_how_they_fuse_are_fused():
    class Halved(nn.Module):
        def fused(self):
            return nn.Linear(6, 6)

    model = nn.Sequential(IntegerLIF(), Halved()).eval()
    assert isinstance(unroll_(model)[1], nn.Linear)
    assert not model[1].weight.requires_grad


@pytest.mark.parametrize("other", [LIF, IF, ReLU])
def test_neurons_that_cannot_unroll_are_named_and_nothing_has_changed(other):
    model = nn.Sequential(IntegerLIF(), nn.Sequential(nn.Linear(2, 2), other())).eval()
    with pytest.raises(ValueError, match=f"cannot unroll 1 of 2 .*: 1.1 is a {other.__name__}; "):
        unroll_(model)
    assert not model[0].unrolled


def test_bad_states_are_refused_with_what_would_do():
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        unroll_(nn.Sequential(IntegerLIF()))
    with pytest.raises(ValueError, match="Linear has no IntegerLIF"):
        unroll_(nn.Linear(2, 2).eval())
    model = unroll_(nn.Sequential(IntegerLIF()).eval())
    with pytest.raises(ValueError, match="Sequential is unrolled already: 0"):
        unroll_(model)
    with pytest.raises(ValueError, match=r"inference: call model.eval\(\)"):
        model.train()(torch.zeros(1, 2))


def test_levels_that_do_not_fit_into_memory_are_refused_with_the_size():
    model = unroll_(nn.Sequential(IntegerLIF(10**9)).eval())
    with pytest.raises(ValueError, match=r"need [0-9.]+ GB and [0-9.]+ GB are free"):
        model(torch.zeros(2, 100, 100))
