"""Populations against neurons run one by one."""

import shutil

import pytest
import torch

from spikevision.conversion.site import Events
from spikevision.conversion.sta import populations
from spikevision.conversion.sta.hinges import fit_hinges
from spikevision.conversion.sta.neurons import burst_step
from spikevision.conversion.sta.populations import BurstPopulation, MultiThresholdPopulation
from spikevision.ops import native
from spikevision.ops.backend import neuron_backend

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="no compiler")


def slow_twin(hinges, thresholds, totals, start):
    """Unit by unit, channels last."""
    counts = [torch.zeros_like(totals[0]) for _ in hinges.kinks]
    for t, total in enumerate(totals, 1):
        out = torch.full_like(total, hinges.constant * t)
        units = zip(
            hinges.kinks, hinges.directions, hinges.weights, thresholds, counts, strict=True
        )
        for kink, direction, weight, threshold, count in units:
            drive = direction * (total - kink * t) / (threshold / 2) + start
            out += weight * burst_step(drive, count) * threshold / 2
        yield out


@pytest.mark.parametrize("tile", [8, 64, 1 << 15])
@pytest.mark.parametrize("axis", [-1, 1])
def test_a_population_is_its_neurons_whatever_the_tiles(tile, axis, monkeypatch):
    monkeypatch.setattr(populations, "TILE", tile)
    generator = torch.Generator().manual_seed(0)
    hinges = fit_hinges("gelu", 12)
    thresholds = torch.rand(12, 5, generator=generator).mul(8).add(1).round() / 8
    population = BurstPopulation(hinges, thresholds, channel_axis=axis, burst=2, start=0.5)
    steps = torch.randn(6, 3, 4, 5, generator=generator, dtype=torch.float64)
    totals = list(steps.cumsum(0))
    state = {}
    for t, wanted in enumerate(slow_twin(hinges, thresholds.double(), totals, 0.5), 1):
        given = totals[t - 1] if axis == -1 else totals[t - 1].movedim(-1, 1)
        found = population(given, state, t)
        torch.testing.assert_close(found if axis == -1 else found.movedim(1, -1), wanted)


def test_units_without_threshold_are_silent():
    population = BurstPopulation(
        populations.IDENTITY, torch.zeros(2, 3), channel_axis=-1, burst=2, start=0.0
    )
    assert not population(torch.randn(4, 3), {}, 1).any()


def test_burst_neurons_send_a_constant_current_within_a_quantum():
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
    identity = populations.IDENTITY
    made = BurstPopulation(identity, torch.full((2, 1), 0.5), channel_axis=-1, burst=2, start=0.0)
    state = {}
    for t in range(1, 17):
        assert float((made(x * t, state, t) - x * t).abs().max()) <= 0.25


def test_multi_threshold_neurons_send_a_constant_current_within_its_half():
    # a spike leaves at most a third of the potential r + x behind, so r <= x / 2; below 3/4 of the last level, silence
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
    made = MultiThresholdPopulation(torch.ones(1), channel_axis=-1, levels=8, signed=True)
    state = {}
    for t in range(1, 17):
        error = (made(x * t, state, t) - x * t).abs()
        assert bool((error <= x.abs() / 2 + 0.75 * 2.0**-7).all())


def test_differential_spikes_divide_the_error_of_a_constant_current_by_three_each():
    # the potential is t times the error of the mean; a spike leaves at most a third of it
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]
    made = MultiThresholdPopulation(
        torch.ones(1), channel_axis=-1, levels=8, signed=True, differential=True
    )
    state = {"events": Events()}
    for t in range(1, 17):
        error = (made(x * t, state, t) / t - x).abs()
        assert bool(
            (error <= torch.maximum(x.abs() / 3**t, x.new_tensor(0.75 * 2.0**-7 / t))).all()
        )
    before = state["events"].units
    made(x * 17, state, 17)
    assert state["events"].units - before < 41 / 2  # near the end most are silent


def test_differential_spikes_follow_a_current_that_changes():
    made = MultiThresholdPopulation(
        torch.ones(1), channel_axis=-1, levels=8, signed=True, differential=True
    )
    steps = torch.randn(64, 30, 1, generator=torch.Generator().manual_seed(0)).double() / 4
    state, total = {}, torch.zeros(30, 1).double()
    for t, step in enumerate(steps, 1):
        total = total + step
        error = (made(total, state, t) - total).abs()
    assert float(error.max()) < 0.5


@needs_compiler
@pytest.mark.parametrize("axis", [-1, 1, None])
@pytest.mark.parametrize("kind", ["burst", "signed", "unsigned", "differential"])
def test_the_kernel_is_its_plain_twin(axis, kind):
    generator = torch.Generator().manual_seed(0)
    channels = {-1: 6, 1: 7, None: 1}[axis]
    thresholds = torch.rand(12, channels, generator=generator)
    thresholds[:, -1] = 0.0 if channels > 1 else 1.0
    if kind == "burst":
        hinges = fit_hinges("gelu", 12)
        made = BurstPopulation(hinges, thresholds, channel_axis=axis, burst=2, start=0.5)
    else:
        made = MultiThresholdPopulation(
            thresholds[0],
            channel_axis=axis,
            levels=5,
            signed=kind != "unsigned",
            differential=kind == "differential",
        )
    fast, plain = {}, {}
    for t, total in enumerate(torch.randn(9, 3, 7, 6, generator=generator).cumsum(0), 1):
        with neuron_backend("compiled"):
            assert native.has_kernels(total)
            found = made(total, fast, t)
        with neuron_backend("plain"):
            wanted = made(total, plain, t)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert all(torch.equal(fast[name], plain[name]) for name in plain)


def test_a_run_longer_than_counts_reach_is_refused():
    made = BurstPopulation(
        populations.IDENTITY, torch.ones(2, 1), channel_axis=-1, burst=2, start=0.0
    )
    with pytest.raises(ValueError, match="run at most 8191 steps"):
        made(torch.ones(1, 1), {}, 8192)
