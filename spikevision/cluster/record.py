"""What this machine remembers of the Ray that was started on it: which processes, and how to reach it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from spikevision.jobs.files import write_atomically

FILE = Path("~/.ray/spikevision_node.json")
MARK = "SPIKEVISION_NODE"
PATIENCE_S = 15.0


@dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """A node that ``cluster start`` or ``cluster join`` started here.

    Args:
        address: ``HOST:PORT`` of the head node.
        host: Address of this machine.
        head: Whether this is the head node.
        dashboard: URL of the head's dashboard, which listens on its own machine only; None elsewhere.
        mark: What its processes, and no others, have as ``SPIKEVISION_NODE`` in their environment.
        processes: Number and start time of each; those that rename themselves lose their environment.
    """

    address: str
    host: str
    head: bool
    dashboard: str | None
    mark: str
    processes: list[tuple[int, float]] = field(default_factory=list)

    def write(self) -> None:
        """Remember it."""
        write_atomically(FILE.expanduser(), json.dumps(asdict(self), indent=2).encode())


def read_record() -> NodeRecord | None:
    """The node that runs on this machine; None when none was started, or when it is gone."""
    try:
        record = NodeRecord(**json.loads(FILE.expanduser().read_text()))
    except (FileNotFoundError, ValueError, TypeError):  # none, or of another version
        return None
    return record if running(record) else None


def running(record: NodeRecord) -> set[psutil.Process]:
    """The processes of a node that still run."""
    found = set(marked(record.mark))
    for number, started in record.processes:
        try:
            process = psutil.Process(number)
            if process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
        except psutil.NoSuchProcess:
            continue
    return found


def marked(mark: str) -> list[psutil.Process]:
    """Processes of a node: numbers are given to other programs again, the environment tells them apart."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):  # gone, or of another user
            continue
    return found


def family(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    """Processes with all that they started."""
    found = set(processes)
    for process in list(found):
        try:
            found.update(process.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


def end(processes: Iterable[psutil.Process]) -> int:
    """End processes and all that they started: asked first, forced after 15 s.

    Returns:
        How many there were.
    """
    found = family(processes)
    for process in found:
        _signal(process, force=False)
    for process in psutil.wait_procs(found, timeout=PATIENCE_S)[1]:
        _signal(process, force=True)
    psutil.wait_procs(found, timeout=PATIENCE_S)
    return len(found)


def _signal(process: psutil.Process, *, force: bool) -> None:
    try:
        process.kill() if force else process.terminate()
    except psutil.NoSuchProcess:
        return
