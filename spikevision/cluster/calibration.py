"""Convert on Ray: calibration batches are counted by actors, and whole counts add up to the bit."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from spikevision.cluster.pool import Pool, open_pool
from spikevision.cluster.spec import ClusterSpec
from spikevision.conversion import Statistics
from spikevision.conversion import calibrate as in_this_process
from spikevision.jobs import convert as job
from spikevision.jobs.spec import RunResult, RunSpec


def convert(spec: RunSpec, cluster: ClusterSpec) -> RunResult:
    """Convert as :func:`spikevision.jobs.convert.convert` does, with the calibration over actors.

    Args:
        spec: As there; the data is read on this machine.
        cluster: Size and place.
    """
    return job.convert(spec, calibrate=partial(calibrate, cluster=cluster))


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    cluster: ClusterSpec | Pool,
    start: Statistics | None = None,
    after_batch: Callable[[Statistics], object] | None = None,
    **settings: Any,
) -> Statistics:
    """Like :func:`spikevision.conversion.calibrate`, with the batches over actors.

    The result is that of one process to the bit, for any number of actors and whichever of them died.

    Args:
        model: The prepared network; a copy goes to each actor.
        batches: As for a calibration in this process. The batches are what is spread, so give several.
        cluster: Size and place, or an open pool (:func:`~spikevision.cluster.pool.open_pool`).
        start: Statistics to go on from.
        after_batch: Called with what has been counted after every batch, in their order.
        settings: The others of a calibration in this process.

    Raises:
        ValueError: There is no batch, a value is not finite, a function has no handler, or the cluster is not right.
        RuntimeError: An actor died more often than ``max_failures``.
    """
    units = list(batches)
    if not units:
        return in_this_process(model, units, start=start, **settings)  # says what is wrong
    shipped = {"model": model, "settings": settings, "threads": torch.get_num_threads()}
    whole = start
    with open_pool(cluster) as pool:
        for part in pool.map(CalibrationWorker, shipped, units):
            whole = Statistics.merge([whole, part]) if whole else part
            if after_batch is not None:
                after_batch(whole)
    assert whole is not None
    return whole


class CalibrationWorker:
    """In an actor: counts one batch after the other.

    Args:
        shipped: Model, settings and number of threads.
    """

    def __init__(self, shipped: dict[str, Any]) -> None:
        torch.set_num_threads(shipped["threads"])
        self._shipped = shipped

    def run(self, index: int, batch: Any) -> Statistics:
        """The statistics of one batch."""
        return in_this_process(self._shipped["model"], [batch], **self._shipped["settings"])
