"""The report job: one HTML page from the records of finished runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikevision.jobs.files import write_atomically
from spikevision.jobs.run_dir import RECORD
from spikevision.statistics import (
    SAMPLES,
    STATISTICS,
    RunStatistics,
    read_record,
    report_page,
)

REPORT = "report.html"


def write_report(runs: Sequence[str | Path], *, output: str | Path | None = None) -> Path:
    """Write the page.

    Args:
        runs: Run folders that hold ``statistics.json``.
        output: File to write; None writes ``report.html`` into the first run folder.

    Returns:
        The file.

    Raises:
        FileNotFoundError: A folder holds no ``statistics.json``.
        ValueError: A file is of another schema.
        ImportError: Plotly is not installed.
    """
    folders = [Path(run) for run in runs]
    if not folders:
        raise ValueError("a report needs at least one run folder")
    page = report_page(
        [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    )
    path = Path(output) if output else folders[0] / REPORT
    write_atomically(path, page.encode())
    return path


def _read(folder: Path, name: str) -> RunStatistics:
    path = folder / STATISTICS
    if not path.is_file():
        raise FileNotFoundError(
            f"{str(folder)!r} holds no {STATISTICS}: evaluate with `spikevision test CONFIG CHECKPOINT --spike-stats`, or put SpikeStatisticsHook into custom_hooks"
        )
    run = _load(folder / RECORD)
    shown = {
        "config": run.get("config"),
        "started": run.get("started"),
        "commit": run.get("git_commit"),
        "device": run.get("device"),
    }
    return RunStatistics(
        name=name,
        record=read_record(path),
        metrics=_metrics(run, _load(path)),
        facts={key: str(value) for key, value in shown.items() if value},
        samples=_load(folder / SAMPLES).get("images", []),
    )


def _metrics(run: dict[str, Any], statistics: dict[str, Any]) -> dict[str, float]:
    """Metrics of the evaluation that was counted, else those that the run ended with."""
    ended_with = {name: entry["value"] for name, entry in run.get("metrics", {}).items()}
    found = statistics.get("metrics") or ended_with
    return {name: value for name, value in found.items() if isinstance(value, (int, float))}


def _names(folders: Sequence[Path]) -> list[str]:
    """Shortest endings of the paths that tell the runs apart."""
    for length in range(1, max(len(folder.resolve().parts) for folder in folders) + 1):
        names = ["/".join(folder.resolve().parts[-length:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"the same run is given twice: {[str(folder) for folder in folders]}")


def _load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}
