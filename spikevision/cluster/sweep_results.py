"""The trials of a sweep as rows: in ``sweep.json``, ``sweep.csv``, and for whoever watches."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from math import isfinite
from typing import Any, Literal

from spikevision.cluster.storage import Storage
from spikevision.cluster.sweep_space import Space
from spikevision.cluster.sweep_trial import FAILED, TRIALS

Status = Literal["waiting", "running", "stopped", "finished", "failed"]
JSON, CSV, HTML = "sweep.json", "sweep.csv", "sweep.html"
LOST = "its process was lost"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial.

    Args:
        trial: Its id, and the name of its folder.
        values: Parameter -> value.
        status: ``stopped`` means early, by the scheduler.
        step: Epochs done, or iterations of a training without epochs.
        length: Epochs or iterations of the whole training.
        metrics: Those of its last validation.
        seconds: Time that it trained.
        checkpoint: Path or URI of the last one.
        error: Why it failed.
    """

    trial: str
    values: Mapping[str, Any]
    status: Status
    step: int = 0
    length: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    checkpoint: str | None = None
    error: str | None = None


Show = Callable[[Sequence[Row]], None]


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What became of a sweep.

    Args:
        location: Folder or URI of the sweep.
        status: ``finished``, or ``interrupted`` where trials are left to do.
        objectives: Metric -> ``max`` or ``min``.
        rows: The trials.
    """

    location: str
    status: Literal["running", "interrupted", "finished"]
    objectives: Mapping[str, str]
    rows: Sequence[Row]

    @property
    def best(self) -> Row | None:
        """The trial with the best first objective; None when no trial got as far as a validation."""
        metric, mode = next(iter(self.objectives.items()))
        judged = [row for row in self.rows if row.status != "failed" and metric in row.metrics]
        sign = 1 if mode == "max" else -1
        return max(judged, key=lambda row: sign * row.metrics[metric], default=None)

    @property
    def front(self) -> list[Row]:
        """The trials that no other one equals or beats in all objectives, beating it in one (Pareto)."""
        judged = [
            row
            for row in self.rows
            if row.status != "failed" and not self.objectives.keys() - row.metrics.keys()
        ]
        costs = [
            [
                row.metrics[name] * (-1 if mode == "max" else 1)
                for name, mode in self.objectives.items()
            ]
            for row in judged
        ]
        return [
            row
            for row, own in zip(judged, costs, strict=True)
            if not any(
                other != own and all(o <= c for o, c in zip(other, own, strict=True))
                for other in costs
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``sweep.json``, as plain values."""
        return {
            "status": self.status,
            "objectives": dict(self.objectives),
            "best": self.best and self.best.trial,
            "front": [row.trial for row in self.front],
            "trials": [asdict(row) for row in self.rows],
        }

    def to_csv(self) -> str:
        """One line per trial; a column per parameter and per metric."""
        values = list(dict.fromkeys(name for row in self.rows for name in row.values))
        metrics = list(dict.fromkeys(name for row in self.rows for name in row.metrics))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        kept = ("step", "length", "seconds", "checkpoint", "error")
        writer.writerow(["trial", "status", *values, *metrics, *kept])
        for row in self.rows:
            found = [row.values.get(name) for name in values]
            found += [row.metrics.get(name) for name in metrics]
            writer.writerow([row.trial, row.status, *found, *(getattr(row, name) for name in kept)])
        return text.getvalue()


class Board:
    """Turns Tune's trials into rows, and writes and shows them whenever they have changed.

    Args:
        storage: Where the sweep is.
        name: Its name.
        space: What it moves.
        metrics: Patterns of the metrics to keep.
        clock: ``epoch`` or ``iter``.
        length: Of a training, in steps of the clock.
        show: Gets the rows.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        name: str,
        space: Space,
        metrics: Sequence[str],
        clock: str,
        length: int,
        show: Show,
    ) -> None:
        self._storage = storage
        self._name = name
        self._space = space
        self._metrics = metrics
        self._clock = clock
        self._length = length
        self._show = show
        self._rows: list[Row] = []

    def update(self, trials: Sequence[Any]) -> None:
        """Take over how Tune's trials stand."""
        rows = [self._row(trial) for trial in trials]
        if rows != self._rows:
            self._rows = rows
            self.write("running")
            self._show(rows)

    def close(self) -> SweepResult:
        """Write how the sweep ended."""
        todo = [row for row in self._rows if row.status in ("waiting", "running")]
        return self.write("interrupted" if todo or not self._rows else "finished")

    def write(self, status: Literal["running", "interrupted", "finished"]) -> SweepResult:
        """Write ``sweep.json`` and ``sweep.csv``."""
        result = SweepResult(
            location=self._storage.location(self._name),
            status=status,
            objectives=self._space.objectives,
            rows=self._rows,
        )
        self._storage.write_json(f"{self._name}/{JSON}", result.to_dict())
        self._storage.write(f"{self._name}/{CSV}", result.to_csv().encode())
        return result

    def _row(self, trial: Any) -> Row:
        last = trial.last_result or {}
        length = self._length_of(trial)
        step = int(last.get(self._clock) or 0)
        status = _status(trial, done=step >= length)
        checkpoint = trial.checkpoint.path if trial.checkpoint else last.get("checkpoint_path")
        return Row(
            trial=trial.trial_id,
            values=self._space.values(trial.config),
            status=status,
            step=step,
            length=length,
            metrics={
                name: float(value)
                for name, value in last.items()
                if any(fnmatch(name, pattern) for pattern in self._metrics) and isfinite(value)
            },
            seconds=round(float(last.get("time_total_s") or 0), 1),
            checkpoint=checkpoint,
            error=self._error(trial) if status == "failed" else None,
        )

    def _length_of(self, trial: Any) -> int:
        """The length may be one of the things that move."""
        field = {"epoch": "train_cfg.max_epochs", "iter": "train_cfg.max_iters"}[self._clock]
        return int(self._space.options(trial.config).get(field, self._length))

    def _error(self, trial: Any) -> str:
        known = {row.trial: row.error for row in self._rows if row.error}
        if trial.trial_id in known:
            return known[trial.trial_id]
        note = self._storage.read_json(f"{self._name}/{TRIALS}/{trial.trial_id}/{FAILED}")
        return note["error"] if note else LOST


def _status(trial: Any, *, done: bool) -> Status:
    if trial.status == "TERMINATED":
        return "finished" if done else "stopped"
    return {"RUNNING": "running", "ERROR": "failed"}.get(trial.status, "waiting")  # type: ignore[return-value]
