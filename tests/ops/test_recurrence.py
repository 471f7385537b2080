import pytest
import torch

from spikevision.ops import if_step, state_dtype
from spikevision.ops.recurrence import Recurrence

SETTINGS = (
    ("v_threshold", 1.0),
    ("v_reset", -0.5),
    ("detach_reset", True),
    ("surrogate", "sigmoid"),
    ("alpha", 4.0),
)


def test_without_a_state_it_starts_from_rest_and_keeps_no_state():
    # from -0.5: h = 0.5, then 1.0 fires and resets, then 0.0
    x = torch.tensor([[1.0], [0.5], [0.5]])
    spikes, v = Recurrence(if_step, SETTINGS, -0.5).run(x, None, ())
    assert spikes.flatten().tolist() == [0, 1, 0]
    assert v is None


def test_with_a_state_it_goes_on_from_there():
    spikes, v = Recurrence(if_step, SETTINGS, 0.0).run(
        torch.tensor([[0.25], [0.25]]), torch.tensor([0.75]), ()
    )
    assert spikes.flatten().tolist() == [1, 0]
    assert v.tolist() == [-0.25]


def test_equal_neurons_are_one_key_and_others_are_not():
    a, b = Recurrence(if_step, SETTINGS, 0.0), Recurrence(if_step, tuple(SETTINGS), 0.0)
    other = Recurrence(if_step, (("v_threshold", 0.5), *SETTINGS[1:]), 0.0)
    assert len({a, b, other}) == 2


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_keeps_its_state_in_float32(dtype, expected):
    assert state_dtype(torch.zeros(1, dtype=dtype)) == expected


@pytest.mark.parametrize("with_state", [True, False])
def test_pull_back_worked_by_hand(with_state):
    # Far below threshold the surrogate is flat: v = v0 + x1 + x2, so each of them gets grad_v.
    x, v0 = torch.tensor([[-90.0], [1.0]]), torch.tensor([-0.5]) if with_state else None
    grad_v = torch.tensor([3.0]) if with_state else None
    neuron = Recurrence(if_step, SETTINGS, -0.5)
    on_x, on_v0, on_params = neuron.pull_back(x, v0, (), torch.ones(2, 1), grad_v)
    assert on_x.flatten().tolist() == ([3, 3] if with_state else [0, 0])
    assert (on_v0 is None) if v0 is None else on_v0.tolist() == [3]
    assert on_params == ()
