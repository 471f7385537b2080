"""Results of benchmarks: one JSON line each, printed and kept in ``work_dirs/benchmarks/<name>.jsonl``.

A line holds ``name``, the settings under which it was measured, and for each measure a dict from contestant to value,
such as ``"median_ms": {"ours": 810, "spikingjelly": 1630}``. ``page.py`` makes the page and its plots of these lines. The
environment variable ``BENCHMARK_RESULTS`` names another folder.
"""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

__all__ = ["FOLDER", "publish", "read"]

FOLDER = Path(
    os.environ.get("BENCHMARK_RESULTS") or Path(__file__).parents[2] / "work_dirs" / "benchmarks"
)


def publish(line: dict, folder: Path = FOLDER) -> None:
    """Print a result, with what it was measured on, as one JSON line, and append it to the results of its name."""
    line = {**line, **machine()}
    text = json.dumps(line)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{line['name']}.jsonl").open("a") as file:
        file.write(text + "\n")
    print(text)


def read(name: str, settings: tuple[str, ...], folder: Path = FOLDER) -> list[dict]:
    """The latest line of each combination of settings, in the order of these."""
    file = folder / f"{name}.jsonl"
    if not file.exists():
        return []
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    latest = {json.dumps([line.get(key) for key in settings]): line for line in lines}
    return sorted(latest.values(), key=lambda line: [_order(line.get(key)) for key in settings])


def _order(value: object) -> tuple[bool, float, str]:
    number = isinstance(value, (int, float))
    return (not number, float(value) if number else 0.0, str(value))  # type: ignore[arg-type]


def machine() -> dict:
    """Processor, versions and day."""
    try:
        spikingjelly = version("spikingjelly")
    except PackageNotFoundError:
        spikingjelly = None
    return {
        "processor": _processor(),
        "torch": torch.__version__,
        "spikingjelly": spikingjelly,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    """Model of the processor and its widest vector instructions."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")  # Linux
    if cpuinfo.exists():
        named = [row for row in cpuinfo.read_text().splitlines() if row.startswith("model name")]
        name = named[0].split(":")[1].strip() if named else name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
