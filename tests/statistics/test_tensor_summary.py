import pytest
import torch

from spikevision.statistics.tensor_summary import Kind, SummaryCache, TensorSummary


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        (1.0, Kind.BINARY),
        (2.0, Kind.INTEGER),
        (63.0, Kind.INTEGER),
        (64.0, Kind.REAL),
        (-1.0, Kind.REAL),
        (0.5, Kind.REAL),
    ],
)
@pytest.mark.parametrize("place", [0, 4321, -1])
def test_one_odd_value_among_many_decides_the_kind(odd, kind, place):
    x = (torch.arange(10_007) % 3 == 0).float()
    x[place] = odd
    assert TensorSummary(x, block=1).kind is kind


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_every_dtype_is_read(dtype):
    x = torch.ones(2, 3, 1000, dtype=dtype)
    summary = TensorSummary(x, block=1000)
    assert summary.kind is Kind.BINARY
    assert summary.per_step(2) == [3000, 3000]


def test_a_plane_sums_over_all_but_time_and_position():
    x = (torch.arange(2 * 3 * 4) % 5 == 0).float().view(2, 3, 4)
    plane = TensorSummary(x, block=4).plane(x, time_steps=2, positions=4)
    torch.testing.assert_close(plane, x.sum(1).double(), rtol=0, atol=0)


def test_a_view_of_a_living_tensor_is_read_once():
    cache, x = SummaryCache(), torch.ones(2, 3, 4)
    assert cache.summarise(x, block=4) is cache.summarise(x.flatten(0, 1), block=4)


def test_a_change_in_place_is_read_again():
    cache, x = SummaryCache(), torch.ones(2, 3, 4)
    before = cache.summarise(x, block=4)
    x.mul_(2)
    assert (before.kind, cache.summarise(x, block=4).kind) == (Kind.BINARY, Kind.INTEGER)


def test_a_new_tensor_in_the_memory_of_a_dead_one_is_read_again():
    cache = SummaryCache()
    for value in (0.0, 1.0, 0.0, 1.0):
        assert cache.summarise(torch.full((64,), value), block=64).per_step(1) == [int(64 * value)]


def test_inference_tensors_which_hide_changes_are_always_read_again():
    cache = SummaryCache()
    with torch.inference_mode():
        x = torch.ones(8)
        cache.summarise(x, block=8)
        x.mul_(2)
        assert cache.summarise(x, block=8).per_step(1) == [16]
