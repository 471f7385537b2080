"""Run folders ``<base>/<time>``: made for a new run, found again for one that goes on."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

RECORD = "run.json"
LAST = "last_checkpoint"


@dataclass(frozen=True)
class ResumePoint:
    """A run folder and the checkpoint in it from which to go on."""

    run_dir: Path
    checkpoint: Path


def base_dir(config: str | Path, *, work_dir: str | Path | None) -> Path:
    """Folder that holds the runs of a config: ``work_dir``, else ``work_dirs/<config stem>``."""
    return Path(work_dir) if work_dir else Path("work_dirs") / Path(config).stem


def new_run_dir(base: Path) -> Path:
    """Make ``<base>/<YYYYmmdd_HHMMSS>``; two runs that start in one second get two folders."""
    stamp = time.strftime("%Y%m%d_%H%M%S")
    for suffix in ("", *(f"_{number}" for number in range(2, 1000))):
        run_dir = base / f"{stamp}{suffix}"
        try:
            run_dir.mkdir(parents=True)
        except FileExistsError:
            continue
        return run_dir
    raise FileExistsError(f"{base} already holds a thousand runs of {stamp}")


def checked_output(output: str | Path | None, *, job: str) -> Path | None:
    """The folder that a user named for the results of a job.

    Raises:
        ValueError: It is the run folder of another kind of job, whose record would be lost.
    """
    if output is None:
        return None
    record = Path(output) / RECORD
    found = json.loads(record.read_text()).get("job") if record.is_file() else job
    if found != job:
        raise ValueError(
            f"output {str(output)!r} is the folder of a {found} run: give another folder"
        )
    return Path(output)


def find_resume_point(resume: bool | str, *, base: Path) -> ResumePoint:
    """Where to go on.

    Args:
        resume: True for the latest run in ``base`` that has a checkpoint, else a run folder or a checkpoint in one.
        base: Folder that holds the runs of the config.

    Raises:
        FileNotFoundError: Nothing to go on from.
        ValueError: The given path is not in a run folder.
    """
    if resume is True:
        return _latest(base)
    path = Path(str(resume))
    if not path.exists():
        raise FileNotFoundError(f"cannot resume: {str(path)!r} does not exist")
    run_dir = path if path.is_dir() else path.parent
    if not (run_dir / RECORD).is_file():
        raise ValueError(
            f"cannot resume from {str(path)!r}: {str(run_dir)!r} is no run folder (it has no {RECORD}). To start a "
            f"new run from these weights set --cfg-options load_from={path}"
        )
    checkpoint = last_checkpoint(run_dir) if path.is_dir() else path
    if checkpoint is None:
        raise FileNotFoundError(f"cannot resume: {str(run_dir)!r} holds no checkpoint")
    return ResumePoint(run_dir, checkpoint)


def _latest(base: Path) -> ResumePoint:
    runs = sorted((entry.parent for entry in base.glob(f"*/{RECORD}")), key=_started, reverse=True)
    for run_dir in runs:
        checkpoint = last_checkpoint(run_dir)
        if checkpoint is not None:
            return ResumePoint(run_dir, checkpoint)
    raise FileNotFoundError(f"cannot resume: no run in {str(base)!r} has a checkpoint yet")


def _started(run_dir: Path) -> tuple[str, int]:
    """Sort key of a run folder: its time, then its number within the second."""
    day, clock, number = (*run_dir.name.split("_"), "1", "1")[:3]
    return f"{day}_{clock}", int(number) if number.isdigit() else 1


def last_checkpoint(run_dir: Path) -> Path | None:
    """The checkpoint that the run wrote last, also after the folder was moved; None when there is none."""
    note = run_dir / LAST
    if note.is_file():
        noted = run_dir / Path(note.read_text().strip()).name
        if noted.is_file():
            return noted
    found = [path for path in run_dir.glob("*.pth") if not path.name.startswith("best_")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
