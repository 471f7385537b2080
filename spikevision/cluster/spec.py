"""Where and how large a job runs: plain data, read without Ray."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """The size and the place of a job.

    Args:
        address: ``local`` starts a Ray of our own on this machine and ends it with the job, ``auto`` attaches to the
            one that runs here, ``HOST:PORT`` to one elsewhere.
        workers: Fewest and most processes; equal numbers fix the size.
        gpus_per_worker: GPUs of each process, fractions allowed. None: one where the cluster has GPUs.
        storage: Folder, or URI such as ``s3://bucket/runs``, that every machine reaches. None: the job's work_dir.
        name: Name of the run, and of its folder in the storage; the same name goes on with the same run.
        max_failures: How many lost workers or errors the run survives; a spot notice does not count.

    Raises:
        ValueError: A value that cannot be meant.
    """

    address: str = "local"
    workers: tuple[int, int] = (1, 1)
    gpus_per_worker: float | None = None
    storage: str | None = None
    name: str | None = None
    max_failures: int = 3

    def __post_init__(self) -> None:
        least, most = self.workers
        if not 1 <= least <= most:
            raise ValueError(f"workers {least}:{most}: expected 1 <= MIN <= MAX")
        if self.gpus_per_worker is not None and self.gpus_per_worker < 0:
            raise ValueError(f"gpus per worker is {self.gpus_per_worker}, expected 0 or more")
        if self.name is not None and not NAME.fullmatch(self.name):
            raise ValueError(
                f"run name {self.name!r}: use letters, digits, '_', '-' and '.', it becomes a folder"
            )
        if self.max_failures < -1:
            raise ValueError(f"max failures is {self.max_failures}; -1 means without end")


@dataclass(frozen=True, kw_only=True)
class ClusterResult:
    """What became of a job on a cluster.

    Args:
        location: Folder or URI of the run.
        status: ``finished``, or what ``run.json`` says.
        metrics: Name -> value and unit, as in ``run.json``.
        checkpoint: Path or URI of the last checkpoint.
    """

    location: str
    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None


def parse_workers(text: str) -> tuple[int, int]:
    """``"4"`` as (4, 4) and ``"2:8"`` as (2, 8).

    Raises:
        ValueError: Anything else.
    """
    match = re.fullmatch(r"(\d+)(?::(\d+))?", text.strip())
    if not match:
        raise ValueError(f"--workers takes N or MIN:MAX, got {text!r}")
    return int(match[1]), int(match[2] or match[1])


def per_worker_batch(batch_size: int, *, workers: tuple[int, int], world_size: int) -> int:
    """Samples per process and step.

    A fixed size keeps the config's ``batch_size``, as torchrun does. An elastic one keeps the global batch of its
    full size, so that shrinking changes neither the samples of a step nor the learning rate that fits them.

    Raises:
        ValueError: The global batch cannot be split evenly at some size of the range; says at which.
    """
    least, most = workers
    total = batch_size * most
    uneven = [size for size in range(least, most + 1) if total % size]
    if uneven:
        raise ValueError(
            f"--workers {least}:{most} with batch_size={batch_size} has a global batch of {total}, which does "
            f"not divide among {', '.join(map(str, uneven))} workers; choose a batch_size or a range so that it does"
        )
    return total // world_size
