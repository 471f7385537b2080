"""Calibrate a conversion on Ray: each batch is counted by some actor, and whole counts add up to the bit."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from spikevision.cluster.launch import local_cpus
from spikevision.cluster.pool import Pool
from spikevision.cluster.session import session
from spikevision.cluster.spec import ClusterSpec
from spikevision.conversion import STAConfig, Statistics
from spikevision.conversion import calibrate as in_this_process


def calibrate(
    model: nn.Module,
    batches: Iterable[Any],
    config: STAConfig | None = None,
    *,
    rules: Mapping[str, STAConfig | None] | None = None,
    preprocessing: str = "",
    cluster: ClusterSpec,
) -> Statistics:
    """Like :func:`spikevision.conversion.calibrate`, with the batches over actors.

    The result is that of one process to the bit, for any number of actors and whichever of them died.

    Args:
        model: The prepared network; a copy goes to each actor.
        batches: As for a calibration in this process. The batches are what is spread, so give several.
        config: Settings.
        rules: Config by module name.
        preprocessing: What was done to the images.
        cluster: Size and place.

    Raises:
        ValueError: There is no batch, a value is not finite, a function has no handler, or the cluster is not right.
        RuntimeError: An actor died more often than ``max_failures``.
    """
    settings: dict[str, Any] = {"config": config, "rules": rules, "preprocessing": preprocessing}
    units = list(batches)
    if not units:
        return in_this_process(model, units, **settings)  # says what is wrong
    with session(cluster.address, cpus=local_cpus(cluster)) as ray:
        shipped = {"model": model, "settings": settings}
        return Statistics.merge(Pool(ray, cluster).map(CalibrationWorker, shipped, units))


class CalibrationWorker:
    """In an actor: counts one batch after the other.

    Args:
        shipped: Model and settings.
    """

    def __init__(self, shipped: dict[str, Any]) -> None:
        self._shipped = shipped

    def run(self, index: int, batch: Any) -> Statistics:
        """The statistics of one batch."""
        return in_this_process(self._shipped["model"], [batch], **self._shipped["settings"])
