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
    assert TensorSummary(x[:, None], time_steps=1).kind is kind


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_every_dtype_is_read(dtype):
    x = torch.ones(2, 3, 1000, dtype=dtype)
    summary = TensorSummary(x, time_steps=2)
    assert summary.kind is Kind.BINARY
    assert summary.per_step() == [3000, 3000]


@pytest.mark.parametrize("channels_last_in_memory", [False, True])
def test_planes_and_channels_are_sums_over_all_else_in_either_memory_layout(
    channels_last_in_memory,
):
    x = (torch.arange(4 * 3 * 5 * 2) % 7 == 0).float().view(4, 3, 5, 2)
    if channels_last_in_memory:
        x = x.contiguous(memory_format=torch.channels_last)
        assert not x.is_contiguous()
    summary = TensorSummary(x, time_steps=2)
    steps = x.unflatten(0, (2, 2)).double()
    torch.testing.assert_close(summary.per_channel, steps.sum((1, 3, 4)), rtol=0, atol=0)
    plane = summary.plane(x).view(2, 5, 2)
    torch.testing.assert_close(plane, steps.sum((1, 2)), rtol=0, atol=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_transposed_view_is_counted_by_position(channels_last):
    x = torch.tensor([[1.0, 0, 0], [1, 1, 0]]).mT[None]  # [1, 3, 2], no copy
    summary = TensorSummary(x, time_steps=1, channels_last=channels_last)
    assert summary.per_channel.tolist() == [[1, 2] if channels_last else [2, 1, 0]]


def test_a_view_of_a_living_tensor_is_read_once():
    cache, x = SummaryCache(), torch.ones(2, 3, 4)
    seen = cache.summarise(x, time_steps=2)
    assert cache.summarise(x.unflatten(1, (3, 1)), time_steps=2) is seen
    assert cache.summarise(x, time_steps=1) is not seen


def test_a_part_of_a_tensor_or_a_repeated_one_is_not_taken_for_the_whole():
    cache, x = SummaryCache(), torch.ones(2, 2, 4)
    cache.summarise(x, time_steps=1)
    assert cache.summarise(x[:1], time_steps=1).per_step() == [8]
    assert cache.summarise(x[:1].expand(2, 2, 4), time_steps=1).per_step() == [16]
    x[0] = 0
    assert cache.summarise(x[:1].expand(2, 2, 4), time_steps=1).per_step() == [0]


def test_a_view_with_images_before_time_is_not_taken_for_one_with_time_first():
    cache, x = SummaryCache(), torch.tensor([[0.0, 1], [1, 1]])[..., None]  # [T, N, 1]
    assert cache.summarise(x, time_steps=2).per_step() == [1, 2]
    turned = x.transpose(0, 1)  # [N, T, 1], of which the first half is one image
    assert cache.summarise(turned, time_steps=2).per_step() == [1, 2]
    x[1, 0] = 0
    assert cache.summarise(x, time_steps=2).per_step() == [1, 1]
    assert cache.summarise(turned, time_steps=2).per_step() == [0, 2]


def test_planes_of_two_views_with_as_many_positions_are_told_apart():
    x = torch.tensor([[1.0, 0, 0], [1, 1, 0]])[None, None]
    summary = TensorSummary(x, time_steps=1)
    assert summary.plane(x).tolist() == [[1, 0, 0, 1, 1, 0]]
    assert summary.plane(x.mT).tolist() == [[1, 1, 0, 1, 0, 0]]


def test_a_change_in_place_is_read_again():
    cache, x = SummaryCache(), torch.ones(2, 3, 4)
    before = cache.summarise(x, time_steps=1)
    x.mul_(2)
    assert (before.kind, cache.summarise(x, time_steps=1).kind) == (Kind.BINARY, Kind.INTEGER)


def test_a_new_tensor_in_the_memory_of_a_dead_one_is_read_again():
    cache = SummaryCache()
    for value in (0.0, 1.0, 0.0, 1.0):
        assert cache.summarise(torch.full((64, 1), value), time_steps=1).per_step() == [
            int(64 * value)
        ]


def test_inference_tensors_which_hide_changes_are_always_read_again():
    cache = SummaryCache()
    with torch.inference_mode():
        x = torch.ones(8, 1)
        cache.summarise(x, time_steps=1)
        x.mul_(2)
        assert cache.summarise(x, time_steps=1).per_step() == [16]
