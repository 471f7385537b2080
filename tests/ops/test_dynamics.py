import math

import pytest
import torch

from spikevision.ops import if_step, lif_step, parametric_lif_step

FIRE = {"detach_reset": True, "surrogate": "sigmoid", "alpha": 4.0}


def sequence(step, inputs, v, *params, **settings):
    """Spikes and potentials of one neuron, as lists of numbers."""
    v, spikes, potentials = torch.tensor(v, dtype=torch.float64), [], []
    for x in inputs:
        s, v = step(torch.tensor(x, dtype=torch.float64), v, *params, **{**FIRE, **settings})
        spikes.append(s.item())
        potentials.append(v.item())
    return spikes, potentials


def test_if_hard_reset_sequence_worked_by_hand():
    # h: 0.5, 1.0 (fires at equality), 0.75, 2.0 (fires), -0.25
    spikes, v = sequence(if_step, [0.5, 0.5, 0.75, 1.25, -0.25], 0.0, v_threshold=1.0, v_reset=0.0)
    assert spikes == [0, 1, 0, 1, 0]
    assert v == [0.5, 0.0, 0.75, 0.0, -0.25]


def test_if_soft_reset_keeps_what_is_above_the_threshold():
    # h: 0.75, 1.5 -> 0.5, 1.25 -> 0.25, 0.25
    spikes, v = sequence(if_step, [0.75, 0.75, 0.75, 0.0], 0.0, v_threshold=1.0, v_reset=None)
    assert spikes == [0, 1, 1, 0]
    assert v == [0.75, 0.5, 0.25, 0.25]


def test_lif_sequence_worked_by_hand():
    # h = v + (x - v) / 2: 0.5, 0.75, 1.125 (fires), 0.25
    spikes, v = sequence(
        lif_step, [1, 1, 1.5, 0.5], 0.0, tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0
    )
    assert spikes == [0, 0, 1, 0]
    assert v == [0.5, 0.75, 0.0, 0.25]


def test_lif_without_input_decay_adds_the_whole_input():
    # h = v - v / 4 + x: 0.5, 0.875, 1.15625 (fires), 0.5
    spikes, v = sequence(
        lif_step, [0.5] * 4, 0.0, tau=4.0, decay_input=False, v_threshold=1.0, v_reset=0.0
    )
    assert spikes == [0, 0, 1, 0]
    assert v == [0.5, 0.875, 0.0, 0.5]


def test_lif_leaks_towards_its_reset_potential():
    # v_reset -1, no input current relative to it: h = v + (x - (v + 1)) / 2 with x = 0
    _, v = sequence(
        lif_step, [0, 0, 0], 0.0, tau=2.0, decay_input=True, v_threshold=1.0, v_reset=-1.0
    )
    assert v == [-0.5, -0.75, -0.875]


def test_lif_hard_reset_to_another_potential():
    # h = 0 + (5 - (0 + 0.5)) / 2 = 2.25 fires and goes to -0.5
    assert sequence(
        lif_step, [5.0], 0.0, tau=2.0, decay_input=True, v_threshold=1.0, v_reset=-0.5
    ) == ([1], [-0.5])


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
def test_parametric_lif_is_a_lif_of_its_time_constant(decay_input, v_reset):
    inputs = [0.3, 1.7, 0.9, 2.5, -0.4, 1.1]
    settings = {"decay_input": decay_input, "v_threshold": 0.8, "v_reset": v_reset}
    w = torch.tensor(-math.log(1.7 - 1), dtype=torch.float64)
    spikes, v = sequence(parametric_lif_step, inputs, 0.0, w, **settings)
    expected_spikes, expected_v = sequence(lif_step, inputs, 0.0, tau=1.7, **settings)
    assert spikes == expected_spikes
    assert 0 < sum(spikes) < len(spikes)
    assert v == pytest.approx(expected_v, abs=1e-12)


@pytest.mark.parametrize(
    ("v_reset", "detach_reset", "slope_of_reset"),
    # u = 0.25, s = 1, h = 1.25; sigma' = 4 e / (1 + e)^2 with e = exp(-1)
    [
        (0.0, True, lambda g: 0.0),
        (0.0, False, lambda g: -1.25 * g),
        (-0.5, False, lambda g: -1.75 * g),
        (None, True, lambda g: 1.0),
        (None, False, lambda g: 1.0 - g),
    ],
)
def test_gradient_through_the_reset_worked_by_hand(v_reset, detach_reset, slope_of_reset):
    e = math.exp(-1.0)
    slope = 4 * e / (1 + e) ** 2
    x = torch.tensor(1.25, dtype=torch.float64, requires_grad=True)
    v = torch.tensor(0.0, dtype=torch.float64)
    settings = {**FIRE, "detach_reset": detach_reset, "v_threshold": 1.0, "v_reset": v_reset}
    s, v = if_step(x, v, **settings)
    assert torch.autograd.grad(s, x, retain_graph=True)[0].item() == pytest.approx(slope)
    expected = slope_of_reset(slope)
    assert torch.autograd.grad(v, x)[0].item() == pytest.approx(expected, abs=1e-15)
