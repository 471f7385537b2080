import pytest
import torch
from brute_force import conv_operations, spikes_like
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikevision.statistics import SpikeRecorder


def counted(layer: nn.Module, x: torch.Tensor) -> dict[str, list[int]]:
    with SpikeRecorder(layer) as recorder, torch.no_grad():
        layer(x)
    (entry,) = recorder.record.layers.values()
    (counts,) = entry.by_size.values()
    return counts


CONVS = {
    "borders": nn.Conv2d(2, 3, 3, padding=1),
    "stride leaves a rest": nn.Conv2d(2, 4, 3, stride=2),
    "groups": nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise 7x7": nn.Conv2d(3, 3, 7, padding=3, groups=3),
    "dilation": nn.Conv2d(2, 2, 3, padding=2, dilation=2),
    "all at once": nn.Conv2d(
        4, 2, (3, 2), stride=(2, 3), padding=(1, 2), dilation=(2, 1), groups=2
    ),
    "same padding": nn.Conv2d(2, 2, 4, padding="same"),
    "valid padding": nn.Conv2d(2, 2, 2, padding="valid"),
    "circular padding": nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
    "pointwise": nn.Conv2d(3, 5, 1),
    "one dimension": nn.Conv1d(3, 2, 3, stride=2, padding=1),
    "three dimensions": nn.Conv3d(1, 2, (1, 2, 3), padding=(0, 1, 1)),
    "transposed": nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
    "transposed, groups and dilation": nn.ConvTranspose2d(4, 2, 2, stride=3, dilation=2, groups=2),
    "transposed in one dimension": nn.ConvTranspose1d(2, 2, 4, stride=2, padding=1),
}
SIZES = {1: (7,), 2: (7, 5), 3: (2, 5, 4)}


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("name", CONVS)
def test_operations_equal_a_count_of_every_spike_and_every_target(name, levels):
    conv = CONVS[name]
    x = spikes_like(2, conv.in_channels, *SIZES[len(conv.kernel_size)], levels=levels)
    expected = conv_operations(conv, x, conv(x).shape[2:])
    assert counted(conv, x)["synops"] == [expected]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    transposed=st.booleans(),
)
def test_operations_of_any_geometry_equal_the_plain_count(
    size, kernel, stride, padding, dilation, groups, transposed
):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    conv = kind(2, 4, kernel, stride, padding, dilation=dilation, groups=groups)
    x = spikes_like(1, 2, *size, seed=sum(size))
    try:
        out_size = conv(x).shape[2:]
    except RuntimeError:  # the kernel does not fit
        return
    assert counted(conv, x)["synops"] == [conv_operations(conv, x, out_size)]


def test_a_spike_into_a_linear_layer_has_as_many_targets_as_there_are_outputs():
    x = torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 0]])
    counts = counted(nn.Linear(4, 7), x)
    assert (counts["spikes"], counts["synops"], counts["macs"]) == ([3], [21], [56])


def test_a_single_spike_in_a_corner_has_four_of_nine_targets():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 0, 0] = 1
    assert counted(nn.Conv2d(1, 1, 3, padding=1, bias=False), x)["synops"] == [4]


def test_dense_macs_are_those_of_the_shapes():
    x = spikes_like(2, 4, 8, 8)
    # 2 images x 6 channels x 4 x 4 outputs, each of 4/2 channels x 9 taps
    assert counted(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), x)["macs"] == [
        2 * 6 * 16 * 2 * 9
    ]
    # every one of 2 x 4 x 64 inputs goes to 6/2 channels x 4 taps
    assert counted(nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), x)["macs"] == [
        2 * 4 * 64 * 3 * 4
    ]


def test_all_ones_without_padding_make_exact_operations_equal_dense_macs():
    counts = counted(nn.Conv2d(3, 5, 3, dilation=2), torch.ones(1, 3, 9, 8))
    assert counts["synops"] == counts["macs"]


def test_counts_above_the_reach_of_float32_stay_exact():
    x = torch.ones(1, 260, 300, 300)  # 23.4 million spikes, more than 2^24
    counts = counted(nn.Conv2d(260, 1, 3, padding=1, bias=False), x)
    assert counts["spikes"] == [260 * 300 * 300]
    assert counts["synops"] == [260 * (3 * 300 - 2) ** 2]
