"""The hook of a trial that trains in its own process."""

from typing import Any

import ray.tune

from spikevision.cluster.hooks import ReportHook


class TrialHook(ReportHook):
    """Report to Ray Tune instead of Ray Train."""

    def _hand_over(self, metrics: dict[str, Any], folder: str) -> None:
        ray.tune.report(metrics, checkpoint=ray.tune.Checkpoint.from_directory(folder))

    def _notice_came(self, iteration: int) -> bool:
        return False  # spot notices reach trainings of Ray Train only
