import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.neurons import IF, LIF
from spikevision.ops import native, neuron_backend
from spikevision.ops.counting import Kind, SpikeCounter, count_channels

from .helpers import LIF_NEURONS, LIF_SHAPES, kernel_settings

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
BACKENDS = [pytest.param("compiled", marks=needs_compiler), "chunked"]


def values(*shape: int, levels: int) -> torch.Tensor:
    """Whole numbers from 0 to ``levels``, each of them present where there is room."""
    return (torch.arange(torch.Size(shape).numel()) * 7 % (levels + 1)).float().view(shape)


def counted(x: torch.Tensor, *, last: bool, **settings) -> tuple[torch.Tensor, Kind]:
    """``x`` is ``[T, N, C, P]``, counted as it lies in memory with channels first or last."""
    time_steps, images, channels, places = x.shape
    if last:
        matrix = x.mT.reshape(time_steps * images * places, channels).contiguous()
        return count_channels(matrix, time_steps=time_steps, **settings)
    matrix = x.reshape(time_steps * images * channels, places)
    return count_channels(matrix, time_steps=time_steps, channels=channels, **settings)


@needs_compiler
@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 40), st.integers(1, 70)),
    last=st.booleans(),
    levels=st.sampled_from([1, 2, 63]),
    threads=st.sampled_from([1, 2]),
)
def test_the_kernel_counts_to_the_unit_as_a_sum_does(shape, last, levels, threads):
    x, before = values(*shape, levels=levels), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with neuron_backend("compiled"):
            assert native.has_kernels(x)
            sums, kind = counted(x, last=last)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(sums, x.double().sum((1, 3)))
    assert kind is (Kind.BINARY if x.max() <= 1 else Kind.INTEGER)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("last", [False, True])
def test_more_values_than_one_float_can_add_up_are_counted_to_the_unit(backend, last):
    """300,000 values of 63 and one of 62 come to more than 2^24, where float32 leaves out odd numbers."""
    x = torch.full((1, 1, 3, 300_001), 63.0)
    x[..., 17] = 62
    with neuron_backend(backend):
        sums, kind = counted(x, last=last)
    assert sums.tolist() == [[63 * 300_000 + 62] * 3]
    assert kind is Kind.INTEGER


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("last", [False, True])
def test_large_tensors_shared_by_threads_are_counted_to_the_unit(last, backend, threads):
    x, before = values(3, 2, 33, 2001, levels=1), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with neuron_backend(backend):
            sums, kind = counted(x, last=last)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(sums, x.double().sum((1, 3)))
    assert kind is Kind.BINARY


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("place", [0, 31, 50])  # in a full vector and in the rest of a row
@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        (1.0, Kind.BINARY),
        (2.0, Kind.INTEGER),
        (63.0, Kind.INTEGER),
        (64.0, Kind.REAL),
        (1e9, Kind.REAL),
        (-1.0, Kind.REAL),
        (0.5, Kind.REAL),
        (float("inf"), Kind.REAL),
        (float("nan"), Kind.REAL),
    ],
)
def test_one_odd_value_decides_the_kind(odd, kind, place, last, backend):
    x = values(2, 1, 51, 51, levels=1)
    x[1, 0, place, place] = odd
    with neuron_backend(backend):
        assert counted(x, last=last)[1] is kind


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_that_are_known_are_not_looked_at(backend):
    x = torch.full((1, 1, 3, 20), 2.0)
    with neuron_backend(backend):
        sums, kind = counted(x, last=False, checked=False)
    assert (sums.tolist(), kind) == ([[40.0] * 3], Kind.BINARY)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bool])
def test_other_dtypes_are_counted_too(dtype):
    x = values(2, 2, 5, 7, levels=1).to(dtype)
    sums, kind = counted(x, last=True)
    assert torch.equal(sums, x.double().sum((1, 3)))
    assert kind is Kind.BINARY


@needs_compiler
@settings(deadline=None, max_examples=40)
@given(
    shape=LIF_SHAPES,
    neuron=LIF_NEURONS,
    per_row=st.booleans(),
    tokens=st.booleans(),
)
def test_a_neuron_that_counts_fires_the_same_spikes_and_counts_them_all(
    shape, neuron, per_row, tokens
):
    steps, images, channels, side = shape
    torch.manual_seed(channels)
    x = torch.randn(steps, images, side, side, channels).mul_(3)  # channels outermost in no memory
    x = x.flatten(2, 3) if tokens else x.movedim(-1, 2)
    lif, counter = LIF(**neuron, surrogate="atan"), SpikeCounter(per_row=per_row)
    with neuron_backend("plain"):
        plain = lif(x)
    lif.firing = counter
    with neuron_backend("compiled"), torch.no_grad():
        spikes = lif(x)
    assert torch.equal(spikes, plain)
    assert spikes.stride() == x.stride()
    counts = counter.counts_of(spikes)
    rows = spikes if tokens else spikes.movedim(2, -1)
    assert torch.equal(counts.per_channel, rows.flatten(1, -2).sum(1).double())
    if per_row:
        assert torch.equal(counts.per_row, rows.sum(-1).flatten(1).double())
    assert counter.counts_of(spikes) is None  # told once


@needs_compiler
def test_what_the_kernel_does_not_know_is_left_to_others():
    first = torch.randn(4, 2, 5, 3, 3)
    x = first.movedim(2, -1).contiguous().movedim(-1, 2)
    counter, lif = SpikeCounter(per_row=True), LIF()
    settings_of_lif = kernel_settings(lif)
    with neuron_backend("compiled"):
        assert counter.fire(x, settings_of_lif) is not None
        for other in (first, x.double(), x.clone().requires_grad_(), x[:, :0], x[:, :, 0, 0, 0]):
            assert counter.fire(other, settings_of_lif) is None
    with neuron_backend("chunked"):
        assert counter.fire(x, settings_of_lif) is None
    assert kernel_settings(IF()) is None
