"""What a job is asked to do and what it answers: plain data that also travels to another process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["finished", "interrupted", "incomplete"]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One job, described completely by values.

    Args:
        config: Path of a text config.
        work_dir: Folder in which the run gets its own folder, named by the time of its start. None takes the
            config's ``work_dir`` and, where it has none, ``work_dirs/<config stem>``.
        checkpoint: Weights to evaluate or to infer with.
        inputs: Image, video, or folder of them, to infer on.
        output: Folder for what infer writes; None takes a new run folder.
        score_threshold: Least score of a detection that infer draws; the JSON holds all.
        resume: True goes on with the latest run of this config, a path with that run folder or checkpoint.
        cfg_options: Config fields to override, by dotted name, e.g. ``{"train_cfg.max_epochs": 3}``.
        spike_stats: Whether to count spikes, operations and energy, as if the config had a ``SpikeStatisticsHook``.
        launcher: ``none`` for one process, ``pytorch`` when started by torchrun.
    """

    config: str
    work_dir: str | None = None
    checkpoint: str | None = None
    inputs: str | None = None
    output: str | None = None
    score_threshold: float = 0.3
    resume: bool | str = False
    cfg_options: Mapping[str, Any] = field(default_factory=dict)
    spike_stats: bool = False
    launcher: Literal["none", "pytorch"] = "none"

    def to_dict(self) -> dict[str, Any]:
        """The spec as a dict of plain values, as it is written to ``run.json``."""
        return {**asdict(self), "cfg_options": dict(self.cfg_options)}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What became of a job.

    Args:
        run_dir: Folder that holds config.py, run.json and all that the run wrote.
        status: ``incomplete`` means that some inputs could not be read.
        metrics: Last value of each metric, units as in ``run.json``.
        checkpoint: The last checkpoint that was written or used.
        signal: Number of the signal that interrupted the run.
        failures: Input that could not be read -> reason.
    """

    run_dir: Path
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Path | None = None
    signal: int | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
