"""The table of a sweep's trials in the terminal: redrawn in place, or a line per event where there is no terminal."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from spikevision.cluster.sweep_results import Row

UP = "\x1b[{}A\x1b[J"
FIRST = ("running", "failed", "finished", "stopped", "waiting")


class LiveTable:
    """Shows rows.

    Args:
        output: Where to; None is the output of this process, as it is now.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self._lines = 0
        self._said: dict[str, tuple[str, int]] = {}

    def show(self, rows: Sequence["Row"]) -> None:
        """Draw the table again, or say what has changed."""
        if self._output.isatty():
            self._redraw(rows)
            return
        for row in rows:
            now = (row.status, row.step)
            if row.status != "waiting" and self._said.get(row.trial) != now:
                self._said[row.trial] = now
                print(event(row), file=self._output, flush=True)

    def finish(self, rows: Sequence["Row"]) -> None:
        """Leave the whole table behind."""
        self._clear()
        print("\n".join(lines_of(rows)), file=self._output, flush=True)

    def _redraw(self, rows: Sequence["Row"]) -> None:
        size = shutil.get_terminal_size()
        ordered = sorted(rows, key=lambda row: FIRST.index(row.status))
        lines = lines_of(ordered)
        room = max(4, size.lines - 2)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more"]
        self._clear()
        print("\n".join(line[: size.columns - 1] for line in lines), file=self._output, flush=True)
        self._lines = len(lines)

    def _clear(self) -> None:
        if self._lines:
            self._output.write(UP.format(self._lines))
            self._lines = 0


def event(row: "Row") -> str:
    """One line on a trial."""
    values = " ".join(f"{name}={_short(value)}" for name, value in row.values.items())
    metrics = " ".join(f"{name}={_short(value)}" for name, value in row.metrics.items())
    ending = f": {row.error}" if row.error else ""
    return f"{row.trial} {row.status} {row.step}/{row.length} {values} {metrics}".rstrip() + ending


def lines_of(rows: Sequence["Row"]) -> list[str]:
    """The table as lines: a head, a line per trial, and the errors below their trials."""
    values = list(dict.fromkeys(name for row in rows for name in row.values))
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    table = [["trial", "status", "done", *map(_last, values), *metrics]]
    for row in rows:
        found = [_short(row.values.get(name)) for name in values]
        found += [_short(row.metrics.get(name)) for name in metrics]
        table.append([row.trial, row.status, f"{row.step}/{row.length}", *found])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
    below = [f"  {row.trial} failed: {row.error}" for row in rows if row.error]
    return [*lines, *below]


def _last(name: str) -> str:
    return name.partition(" & ")[0].rpartition(".")[2]


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
