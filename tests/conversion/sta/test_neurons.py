"""The closed forms of the neurons against their published steps, value by value."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikevision.conversion.sta.neurons import burst_step, multi_threshold_step


def published_burst_neuron(inputs, threshold, burst, start):
    """The published step: main spike with negative branch, then a burst of half spikes; what was sent at each step."""
    u, m, sent = start, 0.0, []
    quantum = threshold / 2
    for x in inputs:
        u += x
        main = threshold if u >= threshold else -threshold if u <= -threshold and m > 0 else 0.0
        u, m = u - main, m + main
        rest = max(u, -m)
        half = math.copysign(min(burst, math.floor(abs(rest) / quantum)), rest) * quantum
        u, m = u - half, m + half
        sent.append(m)
    return sent


@given(
    inputs=st.lists(st.integers(-40, 40), min_size=1, max_size=12),
    burst=st.integers(1, 4),
    start=st.sampled_from([0.0, 0.25]),
)
def test_burst_step_is_the_published_step(inputs, burst, start):
    inputs = [x / 8 for x in inputs]  # multiples of an eighth: sums are exact, ties are hit
    total, count, found = start, torch.zeros(1, dtype=torch.float64), []
    for x in inputs:
        total += x
        drive = torch.tensor([total / 0.5], dtype=torch.float64)
        found.append(float(burst_step(drive, count, burst=burst)) * 0.5)
    assert found == published_burst_neuron(inputs, 1.0, burst, start)


def test_burst_neuron_by_hand():
    # V = 1, sums 0.6, 2.9, 0.4, -1: quanta 1; 5, limited to 4 more; back to 0; stays at 0
    count = torch.zeros(1)
    found = [float(burst_step(torch.tensor([2 * s]), count)) for s in (0.6, 2.9, 0.4, -1.0)]
    assert found == [1, 5, 1, 0]


def test_what_a_burst_neuron_sent_depends_on_the_sum_alone():
    early, late = torch.zeros(1), torch.zeros(1)
    for a, b in zip((3.0, 3.0, 3.0), (0.5, 1.5, 3.0), strict=True):
        burst_step(torch.tensor([a]), early)
        burst_step(torch.tensor([b]), late)
    assert early == late


def thresholds_that_fit(potential, levels):
    return next((2.0**-i for i in range(levels) if abs(potential) >= 0.75 * 2.0**-i), 0.0)


@given(st.lists(st.integers(-4000, 4000), min_size=1, max_size=8), st.booleans())
def test_multi_threshold_step_sends_the_largest_spike_of_which_three_quarters_fit(inputs, signed):
    total, wanted = 0.0, 0.0
    sent = torch.zeros(1, dtype=torch.float64)
    for x in inputs:
        total += x / 1024
        potential = total - wanted
        wanted += math.copysign(thresholds_that_fit(potential, 6), potential)
        wanted = wanted if signed else max(wanted, 0.0)
        found = multi_threshold_step(
            torch.tensor([total]).double(), sent, torch.ones(1).double(), levels=6, signed=signed
        )
        assert float(found) == wanted


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_neuron_without_threshold_is_silent(value):
    sent = torch.zeros(1)
    threshold = torch.zeros(1)
    assert multi_threshold_step(torch.tensor([value]), sent, threshold, levels=8, signed=True) == 0
