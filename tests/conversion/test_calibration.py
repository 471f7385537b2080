"""Counts on the fixed grid: where values fall, merging to the bit, and files."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikevision.conversion.calibration import (
    BINS,
    Histogram,
    Statistics,
    bin_edges,
    bin_of,
    fingerprint,
)

ABOUT = {"role": "encode", "signed": True, "channel_axis": -1}


def counted(x):
    histogram = Histogram.empty(x.shape[1], dict(ABOUT))
    histogram.add(x, name="tap")
    return histogram


@given(st.floats(-(2.0**12), 2.0**12, width=32))
def test_a_value_lies_between_the_edges_of_its_bin(value):
    edges = bin_edges()
    index = int(bin_of(torch.tensor([value])))
    assert edges[index] <= value <= edges[index + 1]


def test_the_grid_is_known():
    edges = bin_edges()
    assert len(edges) == 2 * BINS + 1
    assert (edges.diff() > 0).all()
    assert edges[-1] == 2.0**12
    assert float((edges[BINS + 2 :] / edges[BINS + 1 : -1]).max()) == 1 + 1 / 16


def test_values_beyond_the_grid_fall_into_its_last_bins():
    counts = counted(torch.tensor([[[1e9, -1e9, 1e-9, -1e-9, 0.0]]])).counts[0]
    assert counts[[0, BINS - 1, BINS, -1]].tolist() == [1, 1, 2, 1]


def test_counts_are_kept_by_channel_with_least_and_greatest_values():
    x = torch.tensor([[[1.0, 2.0], [-4.0, 8.0]], [[3.0, 3.0], [0.5, 0.5]]])
    histogram = counted(x)
    assert histogram.counts.sum(1).tolist() == [4, 4]
    assert histogram.low.tolist() == [1, -4]
    assert histogram.high.tolist() == [3, 8]


@given(st.integers(0, 2**31), st.permutations(range(4)))
def test_shards_merge_to_the_bit_in_any_order(seed, order):
    x = torch.randn(8, 3, 5, generator=torch.Generator().manual_seed(seed))
    whole = counted(x)
    shards = [Statistics("m", "p", 2, {"tap": counted(part)}) for part in x.split(2)]
    merged = Statistics.merge([shards[i] for i in order])
    assert merged.images == 8
    for name in ("counts", "low", "high"):
        assert torch.equal(getattr(merged.taps["tap"], name), getattr(whole, name))


def test_taps_of_different_kind_do_not_merge():
    one = Statistics("m", "p", 1, {"tap": counted(torch.ones(1, 2, 3))})
    other = Statistics("m", "p", 1, {"tap": counted(torch.ones(1, 3, 3))})
    with pytest.raises(ValueError, match="disagree about tap"):
        Statistics.merge([one, other])
    with pytest.raises(ValueError, match="no calibration statistics"):
        Statistics.merge([])


def test_a_file_holds_everything(tmp_path):
    given = Statistics("model", "mean 0", 4, {"a.b": counted(torch.randn(2, 3, 5))})
    given.save(tmp_path / "c.safetensors")
    read = Statistics.load(tmp_path / "c.safetensors")
    assert (read.model, read.preprocessing, read.images) == ("model", "mean 0", 4)
    assert read.taps["a.b"].about == ABOUT
    for name in ("counts", "low", "high"):
        assert torch.equal(getattr(read.taps["a.b"], name), getattr(given.taps["a.b"], name))


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"no such file format")
    with pytest.raises(ValueError, match="no calibration file"):
        Statistics.load(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        Statistics.load(tmp_path / "missing")


def test_the_fingerprint_sees_every_weight():
    model = torch.nn.Linear(3, 3)
    before = fingerprint(model)
    assert fingerprint(model) == before
    with torch.no_grad():
        model.bias[2] += 1e-3
    assert fingerprint(model) != before
