import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.ops import chunked, integer_lif_step
from spikevision.ops.integer_dynamics import round_counts

from .helpers import assert_equal_to_plain, randn, results

SETTINGS = {
    "levels": 4,
    "decay": 0.25,
    "v_threshold": 1.0,
    "rounding": "half_even",
    "window": "inclusive",
    "normalise": False,
    "detach_reset": True,
}


def sequence(inputs, **settings):
    """Spikes and potentials of one neuron from rest, as lists of numbers."""
    v, spikes, potentials = torch.zeros((), dtype=torch.float64), [], []
    for x in inputs:
        s, v = integer_lif_step(torch.tensor(x, dtype=torch.float64), v, **SETTINGS | settings)
        spikes.append(s.item())
        potentials.append(v.item())
    return spikes, potentials


def gradient(x, **settings):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    s, _ = integer_lif_step(x, torch.zeros_like(x), **SETTINGS | settings)
    return torch.autograd.grad(s.sum(), x)[0].tolist()


def test_sequence_worked_by_hand():
    # h: 2.75 -> 3, left -0.25; -0.0625 + 1.5 = 1.4375 -> 1; 0.109375 + 9 -> 4, the largest; 1.27734375 + 0 -> 1
    spikes, v = sequence([2.75, 1.5, 9.0, 0.0])
    assert spikes == [3, 1, 4, 1]
    assert v == [-0.25, 0.4375, 5.109375, 0.27734375]


def test_without_leak_no_input_is_lost():
    # h: 0.75 -> 1; -0.25 + 0.75 = 0.5 -> 0 (half to even); 0.5 + 0.75 = 1.25 -> 1; 0.25 + 0.75 -> 1
    spikes, v = sequence([0.75] * 4, decay=1.0)
    assert spikes == [1, 0, 1, 1]
    assert sum(spikes) + v[-1] == 4 * 0.75


def test_threshold_is_the_potential_of_one_spike():
    # h / 0.5: 2.8 -> 3, left 1.4 - 1.5
    assert sequence([1.4], v_threshold=0.5) == ([3], [pytest.approx(-0.1)])
    assert sequence([1.4], v_threshold=0.5, normalise=True)[0] == [0.75]


@pytest.mark.parametrize(
    ("rounding", "expected"), [("half_even", [0, 2, 2, 4, 4, 0]), ("half_up", [1, 2, 3, 4, 4, 0])]
)
def test_halves_round_as_the_published_models_do(rounding, expected):
    halves = torch.tensor([0.5, 1.5, 2.5, 3.5, 4.5, -0.5])
    assert round_counts(halves, levels=4, rounding=rounding).tolist() == expected


def test_gradient_passes_in_the_window_alone():
    x = [-0.1, 0.0, 0.3, 3.9, 4.0, 4.1]
    assert gradient(x) == [0, 1, 1, 1, 1, 0]
    assert gradient(x, window="strict") == [0, 0, 1, 1, 0, 0]
    assert gradient(x, normalise=True, v_threshold=0.5) == [0, 0.5, 0.5, 0, 0, 0]  # 1 / 0.5 / 4


@pytest.mark.parametrize(("detach_reset", "expected"), [(True, 1.0), (False, 0.0)])
def test_gradient_of_the_potential_sees_the_reset_unless_detached(detach_reset, expected):
    x = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    v = integer_lif_step(x, torch.zeros_like(x), **SETTINGS | {"detach_reset": detach_reset})[1]
    assert torch.autograd.grad(v, x)[0].item() == expected


@settings(max_examples=60, deadline=None)
@given(
    time_steps=st.integers(1, 4),
    neurons=st.integers(2, 12),
    levels=st.integers(1, 9),
    decay=st.sampled_from([0.0, 0.25, 0.7, 1.0]),
    v_threshold=st.sampled_from([1.0, 0.5, 0.3]),
    rounding=st.sampled_from(["half_even", "half_up"]),
    window=st.sampled_from(["inclusive", "strict"]),
    normalise=st.booleans(),
    detach_reset=st.booleans(),
    with_state=st.booleans(),
)
def test_chunked_equals_plain(time_steps, neurons, with_state, **settings):
    x = randn(time_steps, neurons, seed=neurons).abs()
    x[0, 0], x[0, 1] = 3.0, 0.0  # certain spikes, and the edge of the window
    v0 = randn(neurons, seed=1) if with_state else 0.0
    chunk, chunked.CHUNK = chunked.CHUNK, 5
    try:
        compare(x, v0, settings)
    finally:
        chunked.CHUNK = chunk


def compare(x, v0, settings, backend="chunked"):
    fast = results(backend, integer_lif_step, x, v0, **settings)
    plain = results("plain", integer_lif_step, x, v0, **settings)
    assert torch.equal(fast[0], plain[0])
    assert fast[0].max() > 0
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_chunked_equals_plain_in_half_precision(dtype):
    settings = SETTINGS | {"normalise": True, "detach_reset": False}
    assert_equal_to_plain(integer_lif_step, randn(3, 2, 9, dtype=dtype), 0.0, **settings)


@pytest.mark.slow
def test_compiled_equals_plain():
    settings = SETTINGS | {"rounding": "half_up", "normalise": True, "detach_reset": False}
    compare(randn(2, 2, 9), 0.0, settings, backend="compiled")
