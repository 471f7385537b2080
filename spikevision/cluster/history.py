"""The metrics of every epoch of a run, whichever checkpoints were kept and however often it was interrupted."""

import json
from typing import Any

from spikevision.cluster.storage import Storage


class History:
    """Rows of ``metrics.jsonl``, one per epoch.

    Args:
        storage: Where the run is.
        file: Path of the file in it.
    """

    def __init__(self, storage: Storage, file: str) -> None:
        self._storage = storage
        self._file = file
        self._rows: list[dict[str, Any]] = []

    def cut(self, iteration: int) -> None:
        """Read what earlier attempts wrote, up to the iteration from which this one goes on."""
        text = (self._storage.read(self._file) or b"").decode()
        rows = [json.loads(line) for line in text.splitlines()]
        self._rows = [row for row in rows if row["iter"] <= iteration]

    def add(self, row: dict[str, Any]) -> None:
        """Add the row of an epoch."""
        self._rows.append(row)

    def last(self) -> dict[str, Any] | None:
        """The newest row."""
        return self._rows[-1] if self._rows else None

    def write(self) -> None:
        """Write all rows."""
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        self._storage.write(self._file, text.encode())
