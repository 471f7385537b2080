"""Read recordings of event cameras: AEDAT 2.0, AEDAT 3.1, AEDAT 4 and the 40-bit format of N-Caltech101.

Each reader answers with the structured array :data:`EVENT`, and refuses a file that is cut off, events out of order or
outside the sensor.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["EVENT", "READERS", "Recording", "read_recording"]

EVENT = np.dtype([("t", np.int64), ("x", np.int32), ("y", np.int32), ("p", np.int8)])
PACKET = struct.Struct("<HHIIIIII")  # type, source, size, offset of the time stamp, overflow, ...
POLARITY_EVENTS = 1
OVERFLOW_ROW = 240  # of the 40-bit format: no event, but 2^13 microseconds more for all that follow
OVERFLOW_US = 2**13
BYTES_PER_EVENT = 5


class Recording(NamedTuple):
    """The events of one file.

    Attributes:
        events: Array of :data:`EVENT`: ``t`` in microseconds, not falling; ``x``; ``y``; ``p`` 1 for brighter.
        width: Columns of the sensor.
        height: Rows of the sensor.
    """

    events: np.ndarray
    width: int
    height: int


def read_aedat2(data: bytes) -> Recording:
    """AEDAT 2.0 of a DVS128, as CIFAR10-DVS has it.

    32 bits of address and 32 bits of time, big-endian. Address: bit 0 polarity (0 brighter), 1 to 7 column, 8 to 14 row,
    both from the far end. Rows of the sensor become columns of the picture, as SpikingJelly reads this set.
    """
    body = _body(data)
    if len(body) % 8:
        raise ValueError(f"it is cut off: {len(body)} bytes of events are no multiple of 8")
    words = np.frombuffer(body, dtype=[("address", ">u4"), ("t", ">u4")])
    address = words["address"].astype(np.int64)
    return _recording(
        t=words["t"],
        x=127 - ((address >> 8) & 0x7F),
        y=127 - ((address >> 1) & 0x7F),
        p=1 - (address & 1),
        size=(128, 128),
    )


def read_aedat3(data: bytes) -> Recording:
    """AEDAT 3.1 of a DVS128, as DVS128 Gesture has it: packets with a header of 28 bytes, little-endian.

    An event has 32 bits of data (bit 0 valid, 1 polarity, 2 to 16 row, 17 to 31 column) and 31 bits of time; the header
    of its packet says how often the time has overflown. Packets of other types are passed over.
    """
    body = memoryview(_body(data))
    words = []
    at = 0
    while at < len(body):
        if at + PACKET.size > len(body):
            raise ValueError(
                f"it is cut off in the header of a packet, at byte {at} of {len(body)}"
            )
        kind, _, size, _, overflow, capacity, number, _ = PACKET.unpack_from(body, at)
        at += PACKET.size
        if at + size * capacity > len(body) or number > capacity:
            raise ValueError(
                f"it is cut off: the packet at byte {at} announces more events than are left"
            )
        if kind == POLARITY_EVENTS:
            packet = np.frombuffer(
                body[at : at + 8 * number], dtype=[("data", "<u4"), ("t", "<u4")]
            )
            time = packet["t"].astype(np.int64) | (overflow << 31)
            words.append(np.stack([packet["data"].astype(np.int64), time]))
        at += size * capacity
    bits, t = np.concatenate(words, axis=1) if words else np.zeros((2, 0), dtype=np.int64)
    valid = (bits & 1) == 1
    bits, t = bits[valid], t[valid]
    return _recording(t=t, x=bits >> 17, y=(bits >> 2) & 0x7FFF, p=(bits >> 1) & 1, size=(128, 128))


def read_atis(data: bytes) -> Recording:
    """The 40-bit format of N-Caltech101 and N-MNIST: column, row, one bit of polarity, 23 bits of time.

    Row 240 is no event: it adds 8,192 microseconds to the time of all that follow. The sensor has 304 x 240 pixels, of
    which a recording fills a part.
    """
    if len(data) % BYTES_PER_EVENT:
        raise ValueError(f"it is cut off: {len(data)} bytes are no multiple of {BYTES_PER_EVENT}")
    table = np.frombuffer(data, dtype=np.uint8).reshape(-1, BYTES_PER_EVENT).astype(np.int64)
    x, y, high, middle, low = table.T
    t = ((high & 0x7F) << 16) | (middle << 8) | low
    t = t + OVERFLOW_US * np.cumsum(y == OVERFLOW_ROW)
    real = y != OVERFLOW_ROW
    return _recording(t=t[real], x=x[real], y=y[real], p=high[real] >> 7, size=(304, 240))


def read_aedat4(path: str | Path) -> Recording:
    """AEDAT 4, through the library ``aedat``: the first stream of events.

    Raises:
        ImportError: ``aedat`` is not installed.
        ValueError: The file has no stream of events.
    """
    try:
        import aedat
    except ImportError as error:
        raise ImportError("AEDAT 4 needs `pip install spikevision[events]`") from error
    decoder = aedat.Decoder(str(path))
    streams = {n: s for n, s in decoder.id_to_stream().items() if s["type"] == "events"}
    if not streams:
        raise ValueError("it has no stream of events")
    stream = min(streams)
    parts = [packet["events"] for packet in decoder if packet["stream_id"] == stream]
    events = np.concatenate(parts) if parts else np.zeros(0, EVENT)
    size = (int(streams[stream]["width"]), int(streams[stream]["height"]))
    return _recording(t=events["t"], x=events["x"], y=events["y"], p=events["p"], size=size)


READERS: dict[str, Callable[[bytes], Recording]] = {
    "2": read_aedat2,
    "3": read_aedat3,
    "bin": read_atis,
}


def read_recording(path: str | Path, *, sort: bool = False) -> Recording:
    """Read a recording; its suffix and its first line say the format.

    Args:
        path: ``.aedat``, ``.aedat4`` or ``.bin`` file.
        sort: Whether events that are out of order are sorted by time (some cameras deliver such), or an error.

    Raises:
        ValueError: The format is unknown, the file is cut off or empty, or events are out of order or outside the
            sensor; names the file.
        ImportError: An AEDAT 4 file without the library ``aedat``.
        OSError: The file cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    version = _version(path, data)
    try:
        recording = read_aedat4(path) if version == "4" else READERS[version](data)
        return recording._replace(events=_ordered(recording.events, sort=sort))
    except (ValueError, RuntimeError, OSError) as error:
        raise ValueError(f"cannot read recording {str(path)!r}: {error}") from error


def _version(path: Path, data: bytes) -> str:
    if path.suffix == ".bin":
        return "bin"
    head = data.partition(b"\n")[0].strip()
    prefix = b"#!AER-DAT"
    version = head.removeprefix(prefix)[:1].decode(errors="replace")
    if not head.startswith(prefix) or version not in ("2", "3", "4"):
        raise ValueError(
            f"{str(path)!r} is no recording that is known: AEDAT 2, 3.1 or 4 (first line '#!AER-DAT<version>') or "
            f"N-Caltech101 (.bin)"
        )
    return version


def _body(data: bytes) -> bytes:
    """What is behind the lines of text that begin with ``#``."""
    at = 0
    while data[at : at + 1] == b"#":
        end = data.find(b"\n", at)
        if end < 0:
            raise ValueError("it ends in its header")
        line = data[at:end].strip()
        at = end + 1
        if line == b"#!END-HEADER":
            break
    return data[at:]


def _recording(
    *, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray, size: tuple[int, int]
) -> Recording:
    """Check places and pack events."""
    width, height = size
    events = np.empty(len(t), dtype=EVENT)
    for name, values in (("t", t), ("x", x), ("y", y), ("p", p)):
        events[name] = values
    outside = (
        (events["x"] < 0) | (events["x"] >= width) | (events["y"] < 0) | (events["y"] >= height)
    )
    if outside.any():
        first = int(outside.argmax())
        raise ValueError(
            f"event {first} is at ({events['x'][first]}, {events['y'][first]}), outside the sensor of {width}x{height}"
        )
    return Recording(events, width, height)


def _ordered(events: np.ndarray, *, sort: bool) -> np.ndarray:
    """The events, by time."""
    if not len(events):
        raise ValueError("it holds no event")
    falls = np.flatnonzero(np.diff(events["t"]) < 0)
    if not len(falls):
        return events
    if sort:
        return events[np.argsort(events["t"], kind="stable")]
    before, after = events["t"][falls[0] : falls[0] + 2]
    raise ValueError(
        f"events are out of order: event {falls[0] + 1} is at {after} us, the one before at {before} us. Set sort=True "
        f"(sort_events in a pipeline) if the recording is otherwise good"
    )
