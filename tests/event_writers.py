"""Write tiny recordings in the original formats, bit by bit as their documents say."""

import importlib
import struct
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest

HEADER2 = (
    b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
)
HEADER3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2026-01-01\r\n#!END-HEADER\r\n"


def some_events(count: int = 64, *, width: int = 128, height: int = 128, start_us: int = 1000):
    """Columns t, x, y, p of random events in order of time."""
    draw = np.random.default_rng(count)
    t = start_us + np.sort(draw.integers(0, 10_000, count))
    x, y, p = (draw.integers(0, top, count) for top in (width, height, 2))
    return t, x, y, p


def aedat2(t, x, y, p) -> bytes:
    """A DVS128: x is the row of the sensor, y its column; both count down, and 0 is brighter."""
    words = b"".join(
        struct.pack(">II", (127 - int(a)) << 8 | (127 - int(b)) << 1 | (1 - int(c)), int(time))
        for time, a, b, c in zip(t, x, y, p, strict=True)
    )
    return HEADER2 + words


def aedat3(t, x, y, p, *, per_packet: int = 20, valid: int = 1) -> bytes:
    """Packets of polarity events, with one packet of another type between them."""
    other = struct.pack("<HHIIIIII", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)
    packets = [HEADER3, other]
    for begin in range(0, len(t), per_packet):
        part = slice(begin, begin + per_packet)
        overflow = int(t[begin]) >> 31
        packets.append(struct.pack("<HHIIIIII", 1, 1, 8, 4, overflow, *[len(t[part])] * 3))
        packets += [
            struct.pack(
                "<II", int(a) << 17 | int(b) << 2 | int(c) << 1 | valid, int(time) & 0x7FFFFFFF
            )
            for time, a, b, c in zip(t[part], x[part], y[part], p[part], strict=True)
        ]
    return b"".join(packets)


def atis(t, x, y, p) -> bytes:
    """40 bits per event."""
    return b"".join(
        bytes([int(a), int(b)]) + (int(c) << 23 | int(time)).to_bytes(3, "big")
        for time, a, b, c in zip(t, x, y, p, strict=True)
    )


WRITERS = {"a.aedat": aedat2, "b.aedat": aedat3, "c.bin": atis}


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def spikingjelly_datasets(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of ``spikingjelly.datasets``; its package imports audio and HDF5 libraries that no reader here uses."""
    pytest.importorskip("spikingjelly")
    for unused in ("h5py", "torchaudio"):
        monkeypatch.setitem(sys.modules, unused, MagicMock())
    return importlib.import_module(f"spikingjelly.datasets.{name}")
