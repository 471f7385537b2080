import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.neurons import LIF
from spikevision.ops import neuron_backend

GRID = list(
    itertools.product(
        [2.0, 1.7, 4 / 3], [True, False], [1.0, 0.5], [0.0, -0.1, None], [True, False]
    )
)


def spikingjelly_lif(**arguments):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    return neuron.LIFNode(
        surrogate_function=surrogate.Sigmoid(alpha=4.0), step_mode="m", **arguments
    )


def spikes_and_gradient(neuron, x, weight):
    x = x.clone().requires_grad_()
    spikes = neuron(x)
    return spikes.detach(), torch.autograd.grad(spikes, x, weight)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("tau", "decay_input", "v_threshold", "v_reset", "detach_reset"), GRID)
def test_spikes_and_gradients_equal_spikingjellys(
    tau, decay_input, v_threshold, v_reset, detach_reset, dtype
):
    arguments = {
        "tau": tau,
        "decay_input": decay_input,
        "v_threshold": v_threshold,
        "v_reset": v_reset,
        "detach_reset": detach_reset,
    }
    generator = torch.Generator().manual_seed(0)
    tolerance = (1e-6, 2e-6) if dtype == torch.float32 else (1e-12, 1e-12)
    for time_steps in (1, 4, 6):
        x, weight = torch.randn(2, time_steps, 500, dtype=dtype, generator=generator)
        x = x * 2 + v_threshold / 2
        ours = spikes_and_gradient(LIF(**arguments), x, weight)
        theirs = spikes_and_gradient(spikingjelly_lif(**arguments), x, weight)
        assert torch.equal(ours[0], theirs[0])
        assert 0.1 < ours[0].mean() < 0.9
        torch.testing.assert_close(ours[1], theirs[1], rtol=tolerance[0], atol=tolerance[1])


@settings(max_examples=30, deadline=None)
@given(
    tau=st.floats(1.01, 20.0),
    v_threshold=st.floats(0.1, 3.0),
    time_steps=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
def test_spikes_equal_spikingjellys_for_any_time_constant_and_threshold(
    tau, v_threshold, time_steps, seed
):
    x = torch.randn(time_steps, 64, generator=torch.Generator().manual_seed(seed)) * 3
    theirs = spikingjelly_lif(tau=tau, v_threshold=v_threshold, detach_reset=True)
    assert torch.equal(LIF(tau, v_threshold=v_threshold)(x), theirs(x))


def test_in_one_time_step_it_fires_from_twice_the_threshold_on():
    x = torch.linspace(-4, 4, 1025).view(1, -1)
    for v_threshold in (1.0, 0.5):
        assert torch.equal(LIF(v_threshold=v_threshold)(x)[0], (x[0] >= 2 * v_threshold).float())


def test_defaults_are_those_of_the_published_models():
    shown = "tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0, detach_reset=True"
    assert repr(LIF()) == f"LIF({shown}, surrogate='sigmoid', alpha=4.0)"


@pytest.mark.parametrize("backend", ["plain", "chunked"])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_stream_in_two_pieces_equals_one_call_exactly(backend, v_reset, cut):
    neuron = LIF(1.7, v_reset=v_reset)
    x = torch.randn(6, 2, 3, 4, generator=torch.Generator().manual_seed(1)) * 2
    with neuron_backend(backend):
        first, state = neuron(x[:cut], neuron.initial_state(x))
        second, state = neuron(x[cut:], state)
        whole, end = neuron(x, neuron.initial_state(x))
        assert torch.equal(torch.cat([first, second]), whole)
        assert torch.equal(state, end)
        assert torch.equal(neuron(x), whole)


def test_gradients_flow_through_the_state_from_piece_to_piece():
    neuron, generator = LIF(), torch.Generator().manual_seed(2)
    x, weight = torch.randn(2, 6, 2, 5, dtype=torch.float64, generator=generator)
    expected = spikes_and_gradient(neuron, x, weight)[1]

    def in_pieces(x):
        first, state = neuron(x[:2], neuron.initial_state(x))
        return torch.cat([first, neuron(x[2:], state)[0]])

    got = spikes_and_gradient(in_pieces, x, weight)[1]
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("tau", [1.0, 0.5, -2.0, math.nan, math.inf])
def test_a_time_constant_of_one_step_or_less_is_refused(tau):
    with pytest.raises(ValueError, match="tau must be more than 1"):
        LIF(tau)
