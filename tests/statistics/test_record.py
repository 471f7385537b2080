import json
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.statistics import Record, merge_records, read_record
from spikevision.statistics.record import Entry
from spikevision.statistics.tensor_summary import Kind

numbers = st.lists(st.integers(0, 2**70), min_size=1, max_size=3)


@st.composite
def records(draw):
    record = Record()
    for size in draw(st.sets(st.sampled_from(["4x4", "8x8"]))):
        record.images[size] = draw(st.integers(1, 9))
        record.elementwise[size] = {"residual": draw(numbers)}
        for name in draw(st.sets(st.sampled_from("ab"))):
            kind = draw(st.sampled_from(Kind))
            counts = {"macs": draw(numbers)}
            if kind is not Kind.REAL:
                counts |= {"spikes": draw(numbers), "synops": draw(numbers)}
            entry = record.layers.setdefault(name, Entry(about={"type": "Conv2d"}))
            entry.add(size, kind, counts)
    return record


def unordered(record: Record) -> dict:
    return json.loads(json.dumps(record.to_dict(), sort_keys=True))


@settings(deadline=None)
@given(records(), records(), records())
def test_merging_does_not_depend_on_grouping_or_order(a, b, c):
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert left.to_dict() == right.to_dict()
    assert unordered(left) == unordered(c.merge(a).merge(b))


@settings(deadline=None)
@given(records(), records())
def test_merging_leaves_both_as_they_were(a, b):
    before = json.dumps([a.to_dict(), b.to_dict()])
    merged = a.merge(b)
    for entry in merged.layers.values():
        entry.add("4x4", Kind.REAL, {"macs": [1, 1, 1, 1]})
    assert json.dumps([a.to_dict(), b.to_dict()]) == before


@given(records())
def test_a_record_survives_json(record):
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_real_input_in_one_part_takes_the_spikes_of_all():
    spiking, real = Record(), Record()
    for record, kind, counts in (
        (spiking, Kind.BINARY, {"macs": [9], "spikes": [3], "synops": [5]}),
        (real, Kind.REAL, {"macs": [9]}),
    ):
        record.layers["a"] = Entry(about={})
        record.layers["a"].add("4x4", kind, counts)
    for merged in (spiking.merge(real), real.merge(spiking)):
        assert merged.layers["a"].by_size == {"4x4": {"macs": [18]}}


def test_a_shorter_run_adds_to_the_first_steps():
    a, b = Entry(about={}), Entry(about={})
    a.add("4x4", Kind.BINARY, {"spikes": [1, 2, 3]})
    b.add("4x4", Kind.BINARY, {"spikes": [10]})
    assert a.merge(b).per_step("spikes") == [11, 2, 3]


def test_records_of_other_models_do_not_merge():
    a, b = Record(), Record()
    a.layers["conv"] = Entry(about={"weights": 9})
    b.layers["conv"] = Entry(about={"weights": 10})
    with pytest.raises(ValueError, match="cannot merge"):
        a.merge(b)
    with pytest.raises(ValueError, match="neurons alone"):
        Record().merge(Record(operations=False))


def test_another_schema_is_refused(tmp_path):
    path = tmp_path / "statistics.json"
    path.write_text('{"schema": "other"}')
    with pytest.raises(ValueError, match="schema"):
        read_record(path)


def test_merge_records_equals_merging_in_pairs():
    parts = [Record(images={"4x4": count}) for count in (1, 2, 3)]
    assert merge_records(parts).to_dict() == reduce(Record.merge, parts).to_dict()
