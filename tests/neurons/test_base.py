import copy
import math
import pickle

import pytest
import torch

from spikevision.neurons import IF, LIF, ParametricLIF, SpikingNeuron

NEURONS = [IF, LIF, ParametricLIF]


@pytest.mark.parametrize("cls", NEURONS)
def test_it_forgets_between_calls_and_keeps_nothing_in_the_state_dict(cls):
    neuron, x = cls(), torch.full((3, 2, 4), 0.9)
    before = {key: value.clone() for key, value in neuron.state_dict().items()}
    assert torch.equal(neuron(x), neuron(x))
    assert neuron(x[:, :1]).shape == (3, 1, 4)  # another batch size needs no reset
    assert neuron.state_dict().keys() == before.keys() == dict(neuron.named_parameters()).keys()
    assert not list(neuron.buffers())


@pytest.mark.parametrize("cls", NEURONS)
def test_it_can_be_copied_and_pickled_after_a_call(cls):
    neuron, x = cls(v_threshold=0.7), torch.rand(3, 2, 4) * 2
    spikes = neuron(x)
    assert torch.equal(copy.deepcopy(neuron)(x), spikes)
    assert torch.equal(pickle.loads(pickle.dumps(neuron))(x), spikes)


@pytest.mark.parametrize(
    ("dtype", "state"), [(torch.float16, torch.float32), (torch.float64, torch.float64)]
)
def test_initial_state_is_rest(dtype, state):
    rest = LIF(v_reset=-0.25).initial_state(torch.ones(4, 2, 3, dtype=dtype))
    assert torch.equal(rest, torch.full((2, 3), -0.25, dtype=state))
    assert (LIF(v_reset=None).initial_state(torch.ones(4, 2)) == 0).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(4), r"time first, got shape \(4,\).*unsqueeze"),
        (torch.zeros(0, 2), "at least one time step"),
        (torch.zeros(4, 2, dtype=torch.int64), r"floating-point.*int64.*x\.float\(\)"),
        (torch.zeros(4, 2, dtype=torch.bool), "floating-point.*bool"),
    ],
)
def test_input_that_is_no_current_over_time_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        LIF()(x)
    with pytest.raises(ValueError, match=message):
        LIF().initial_state(x)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.zeros(3, 3), r"shape \(3, 3\).*expected \(2, 3\).*initial_state"),
        (torch.zeros(4, 2, 3), r"expected \(2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.float64), "float64.*expected torch.float32"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        LIF()(torch.zeros(4, 2, 3), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"v_threshold": 0.0}, "above the reset potential 0.0, got 0.0"),
        ({"v_threshold": -1.0, "v_reset": -0.5}, "above the reset potential -0.5"),
        ({"v_threshold": 0.0, "v_reset": None}, "above the reset potential 0.0"),
        ({"v_threshold": math.nan}, "must be finite"),
        ({"v_reset": -math.inf}, "must be finite"),
        ({"surrogate": "relu"}, "unknown surrogate 'relu'; known ones: sigmoid"),
        ({"alpha": 0.0}, "alpha must be positive"),
    ],
)
@pytest.mark.parametrize("cls", NEURONS)
def test_settings_that_make_no_neuron_are_refused(cls, settings, message):
    with pytest.raises(ValueError, match=message):
        cls(**settings)


def test_the_default_steepness_is_the_surrogates():
    assert LIF().alpha == 4.0
    assert LIF(surrogate="atan").alpha == 2.0
    assert LIF(surrogate="atan", alpha=3).alpha == 3.0


def test_the_base_class_has_no_dynamics():
    with pytest.raises(NotImplementedError):
        SpikingNeuron()(torch.zeros(2, 3))
