import hashlib
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from event_writers import (
    WRITERS,
    aedat2,
    aedat3,
    atis,
    some_events,
    spikingjelly_datasets,
    write,
)

from spikevision.datasets.event_files import read_recording


def columns(recording) -> list[list[int]]:
    return [recording.events[name].tolist() for name in ("t", "x", "y", "p")]


@pytest.mark.parametrize("name", WRITERS)
def test_each_original_format_gives_its_events_back(tmp_path, name):
    events = some_events()
    recording = read_recording(write(tmp_path / name, WRITERS[name](*events)))
    assert columns(recording) == [column.tolist() for column in events]
    assert (recording.width, recording.height) == ((304, 240) if ".bin" in name else (128, 128))


def test_the_readers_agree_with_spikingjelly(tmp_path, monkeypatch):
    """An independent reading of the same formats, which has met the real files."""
    cifar10_dvs, utils = (
        spikingjelly_datasets(name, monkeypatch) for name in ("cifar10_dvs", "utils")
    )
    theirs = {
        "a.aedat": cifar10_dvs._load_origin_data,
        "b.aedat": utils.load_aedat_v3,
        "c.bin": utils.load_ATIS_bin,
    }
    for name, load in theirs.items():
        path = write(tmp_path / name, WRITERS[name](*some_events()))
        events = read_recording(path).events
        for column, values in load(path).items():
            assert np.array_equal(events[column], values), (name, column)


def test_time_goes_on_where_its_31_bits_overflow(tmp_path):
    t, x, y, p = some_events(40)
    t = t + 2**31 * (np.arange(40) >= 20)
    path = write(tmp_path / "long.aedat", aedat3(t, x, y, p, per_packet=20))
    assert read_recording(path).events["t"].tolist() == t.tolist()


def test_events_that_are_marked_invalid_are_left_out(tmp_path):
    good, bad = some_events(4), some_events(3)
    body = aedat3(*bad, valid=0)
    path = write(tmp_path / "a.aedat", aedat3(*good) + body[body.index(b"HEADER\r\n") + 8 :])
    assert len(read_recording(path).events) == 4


def test_row_240_is_no_event_but_time_that_has_passed(tmp_path):
    path = write(tmp_path / "a.bin", atis([1, 5, 9], [3, 0, 4], [7, 240, 8], [1, 0, 0]))
    assert columns(read_recording(path)) == [[1, 8192 + 9], [3, 4], [7, 8], [1, 0]]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path, name):
    whole = WRITERS[name](*some_events())
    path = write(tmp_path / name, whole[:-3])
    with pytest.raises(ValueError, match=f"cannot read recording '.*{name}': it is cut off"):
        read_recording(path)


def test_a_packet_header_that_is_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "a.aedat", aedat3(*some_events(20)) + bytes(11))
    with pytest.raises(ValueError, match="cut off in the header of a packet"):
        read_recording(path)


@pytest.mark.parametrize("name", WRITERS)
def test_events_out_of_order_are_refused_unless_they_shall_be_sorted(tmp_path, name):
    t, x, y, p = some_events()
    t[[10, 50]] = t[[50, 10]]
    path = write(tmp_path / name, WRITERS[name](t, x, y, p))
    with pytest.raises(ValueError, match=r"out of order: event \d+ is at \d+ us.*sort_events"):
        read_recording(path)
    events = read_recording(path, sort=True).events
    assert events["t"].tolist() == sorted(t)
    assert sorted(events["x"]) == sorted(x)


def test_events_outside_the_sensor_are_refused(tmp_path):
    far = some_events(width=200)
    path = write(tmp_path / "a.aedat", aedat3(*far))
    with pytest.raises(
        ValueError, match=r"event \d+ is at \(1\d\d, \d+\), outside the sensor of 128x128"
    ):
        read_recording(path)
    path = write(tmp_path / "a.bin", atis([1], [3], [250], [1]))
    with pytest.raises(ValueError, match=r"\(3, 250\), outside the sensor of 304x240"):
        read_recording(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.aedat", b"", "is no recording that is known"),
        ("a.aedat", b"\x89PNG\r\n", "is no recording that is known"),
        ("a.aedat", b"#!AER-DAT1.0\r\n", "is no recording that is known"),
        ("a.aedat", b"#!AER-DAT2.0\r\n", "holds no event"),
        ("a.aedat", b"#!AER-DAT3.1\r\n#no end", "ends in its header"),
        ("a.bin", b"", "holds no event"),
    ],
)
def test_a_file_of_another_kind_or_without_events_is_refused(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        read_recording(write(tmp_path / name, content))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "none.aedat")


# --- AEDAT 4: a real recording that the source of a package carries (AGPL: fetched for tests, never kept here)

SDIST = "aermanager-0.3.0.tar.gz"
SHA256 = "954356d8bab45033eea1bd0de800079bc5c7a74760c7d7b8bc8300b1df14d683"


@pytest.fixture(scope="session")
def real_recording(tmp_path_factory) -> Path:
    """A real recording of 320x240, where the package's source is in .testdata."""
    pytest.importorskip("aedat", reason="aedat is not installed: pip install spikevision[events]")
    package = Path(".testdata") / SDIST
    if not package.is_file():
        pytest.skip(
            f"{package} is missing: pip download --no-deps --no-binary :all: -d .testdata aermanager==0.3.0"
        )
    assert hashlib.sha256(package.read_bytes()).hexdigest() == SHA256
    target = tmp_path_factory.mktemp("aedat4") / "test.aedat4"
    with tarfile.open(package) as archive:
        member = archive.extractfile("aermanager-0.3.0/test/data/class1/test.aedat4")
        target.write_bytes(member.read())
    return target


def test_a_real_aedat4_recording_is_read(real_recording):
    recording = read_recording(real_recording)
    assert (recording.width, recording.height) == (320, 240)
    assert len(recording.events) == 111_954
    t = recording.events["t"]
    assert (t[-1] - t[0]) / 1e6 == pytest.approx(0.59, abs=0.005)
    assert recording.events[0].tolist() == (1605537493718345, 154, 204, 0)


def test_a_real_aedat4_recording_that_is_cut_off_is_refused(real_recording, tmp_path):
    path = write(tmp_path / "cut.aedat4", real_recording.read_bytes()[:500_000])
    with pytest.raises(ValueError, match="cannot read recording"):
        read_recording(path)


def test_a_packet_of_another_size_than_announced_is_refused(tmp_path):
    content = bytearray(aedat3(*some_events(20)))
    at = content.index(struct.pack("<I", 20))  # capacity of the packet of events
    content[at : at + 4] = struct.pack("<I", 10)  # fewer than its number of events
    with pytest.raises(ValueError, match="announces more events"):
        read_recording(write(tmp_path / "a.aedat", bytes(content)))


def test_the_first_line_decides_not_the_suffix(tmp_path):
    path = write(tmp_path / "a.aedat4", aedat2(*some_events()))
    assert len(read_recording(path).events) == 64
