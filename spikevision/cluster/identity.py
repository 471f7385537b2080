"""The name of a run is its identity: one config and one driver at a time."""

import contextlib
import hashlib
import os
import socket
import threading
import time
from types import TracebackType

from spikevision.cluster.storage import Storage

BEAT_S = 10.0
STALE_S = 45.0


def claim(storage: Storage, name: str, *, config_text: str, resume: bool) -> None:
    """Take a run name for a config, or go on with the run that has it.

    Args:
        storage: Where the runs are.
        name: Name of the run.
        config_text: The whole config, overrides applied.
        resume: The run has to be there already.

    Raises:
        FileNotFoundError: There is nothing to resume.
        ValueError: The name belongs to a run of another config.
    """
    digest = hashlib.sha256(config_text.encode()).hexdigest()
    found = storage.read_json(f"{name}/identity.json")
    if found is None:
        if resume:
            raise FileNotFoundError(f"cannot resume: {storage.location(name)} holds no run")
        storage.write(f"{name}/submitted.py", config_text.encode())
        storage.write_json(f"{name}/identity.json", {"config_sha256": digest})
    elif found["config_sha256"] != digest:
        old = (storage.read(f"{name}/submitted.py") or b"").decode().splitlines()
        new = config_text.splitlines()
        changed = [line.strip() for line in new if line not in old][:3]
        raise ValueError(
            f"run {name!r} in {storage.uri} was started with another config (now different: "
            f"{'; '.join(changed) or 'lines are missing'}). Choose another --name, or go back to the first config"
        )


class DriverLock:
    """While entered, no second driver runs this name.

    The holder writes a sign of life; one that is silent for 45 s, or whose process on this machine is gone, has lost
    the name. Object storage has no locks: two drivers that start in the same second could both get in.

    Raises:
        ValueError: Another driver holds the name; says which.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._file = f"{name}/driver.json"
        self._name = name
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "DriverLock":
        holder = self._storage.read_json(self._file)
        if holder and _alive(holder):
            raise ValueError(
                f"run {self._name!r} is driven by process {holder['pid']} on {holder['host']} already; stop that one, "
                f"or choose another --name"
            )
        self._sign()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._storage.remove(self._file)

    def _beat(self) -> None:
        while not self._done.wait(BEAT_S):
            with contextlib.suppress(OSError):  # the storage may be back at the next beat
                self._sign()

    def _sign(self) -> None:
        me = {"host": socket.gethostname(), "pid": os.getpid(), "seen": time.time()}
        self._storage.write_json(self._file, me)


def _alive(holder: dict) -> bool:
    """Whether the driver that signed is still there."""
    if time.time() - holder["seen"] > STALE_S:
        return False
    if holder["host"] != socket.gethostname():
        return True
    if holder["pid"] == os.getpid():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
