import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.layers.driven import SpikeDriven
from spikevision.neurons import IntegerLIF, build_neuron


@settings(max_examples=30, deadline=None)
@given(
    levels=st.integers(1, 9),
    time_steps=st.integers(1, 5),
    tau=st.sampled_from([4 / 3, 2.0, 4.0]),
    v_threshold=st.sampled_from([1.0, 0.5, 2.0]),
    detach_reset=st.booleans(),
)
def test_spikes_and_gradients_equal_spikingjellys(
    levels, time_steps, tau, v_threshold, detach_reset
):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    theirs = neuron.ILIFNode(
        tau,
        v_threshold,
        surrogate.MultiLevelSpikeCount(levels),
        detach_reset=detach_reset,
        step_mode="m",
    )
    ours = IntegerLIF(levels, decay=1 - 1 / tau, v_threshold=v_threshold, detach_reset=detach_reset)
    x = torch.randn(time_steps, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    x, weight = x.mul(levels).add(1), torch.linspace(-1, 1, 64, dtype=torch.float64)
    found = []
    for node in (ours, theirs):
        leaf = x.clone().requires_grad_()
        spikes = node(leaf)
        found.append((spikes.detach(), torch.autograd.grad((spikes * weight).sum(), leaf)[0]))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-12, atol=1e-12)


def test_in_one_time_step_it_clips_and_rounds():
    x = torch.linspace(-2, 10, 1201, dtype=torch.float64).view(1, -1)
    assert torch.equal(IntegerLIF(8)(x), x.clamp(0, 8).round())
    assert torch.equal(IntegerLIF(8, normalise=True)(x), x.clamp(0, 8).round() / 8)


def test_weights_behind_it_get_the_gradients_of_whole_numbers():
    layer = SpikeDriven(torch.nn.Linear(3, 1), neuron=dict(type="IntegerLIF"))
    x = torch.tensor([[[3.0, 1.0, 0.0]]], requires_grad=True)
    layer(x).sum().backward()
    assert layer.layer.weight.grad.tolist() == [[3, 1, 0]]


@pytest.mark.parametrize("cut", [1, 2])
def test_a_stream_in_two_pieces_equals_one_call_exactly(cut):
    neuron = IntegerLIF(4)
    x = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(1)) * 3
    first, state = neuron(x[:cut], neuron.initial_state(x))
    second, state = neuron(x[cut:], state)
    whole, end = neuron(x, neuron.initial_state(x))
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(state, end)


def test_a_config_builds_it_and_an_attention_may_set_its_threshold():
    neuron = build_neuron(dict(type="spikevision.IntegerLIF", levels=8), v_threshold=0.5)
    assert (neuron.levels, neuron.v_threshold) == (8, 0.5)
    assert repr(neuron) == (
        "IntegerLIF(levels=8, decay=0.25, v_threshold=0.5, rounding='half_even', "
        "window='inclusive', normalise=False, detach_reset=True)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 0}, "levels must be a whole number of at least 1, got 0"),
        ({"levels": 2.5}, "got 2.5"),
        ({"decay": 1.5}, "decay must be between 0 and 1"),
        ({"decay": float("nan")}, "decay"),
        ({"rounding": "up"}, "unknown rounding 'up'.*half_even.*half_up"),
        ({"window": "open"}, "unknown window 'open'.*strict"),
        ({"v_threshold": 0.0}, "v_threshold must be above"),
    ],
)
def test_bad_settings_are_refused_with_what_would_do(settings, message):
    with pytest.raises(ValueError, match=message):
        IntegerLIF(**settings)
