"""Train where an earlier run was left: for long commands that people stop and start again."""

import dataclasses
import json
from pathlib import Path

from spikevision.jobs.run_dir import RECORD, base_dir, last_checkpoint
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.jobs.train import train


def pick_up(spec: RunSpec, *, reuse_finished: bool = False) -> RunResult:
    """Train, but go on with the latest run in the spec's work dir if that one was cut off and left a checkpoint.

    Args:
        spec: As for :func:`train`; its ``resume`` is set here.
        reuse_finished: Give the result of the latest run if it has finished, and train nothing.

    Raises:
        ValueError: The run to go on with was started with other ``cfg_options``.
    """
    runs = sorted(base_dir(spec.config, work_dir=spec.work_dir).glob(f"*/{RECORD}"))
    run_dir = runs[-1].parent if runs else None
    checkpoint = last_checkpoint(run_dir) if run_dir else None
    if run_dir is None or checkpoint is None:
        return train(spec)
    record = json.loads((run_dir / RECORD).read_text())
    finished = record["status"] == "finished"
    if finished and not reuse_finished:
        return train(spec)
    _check_same(spec, record, run_dir)
    if not finished:
        return train(dataclasses.replace(spec, resume=str(run_dir)))
    metrics = {name: entry["value"] for name, entry in record["metrics"].items()}
    return RunResult(run_dir=run_dir, status="finished", metrics=metrics, checkpoint=checkpoint)


def _check_same(spec: RunSpec, record: dict, run_dir: Path) -> None:
    given = json.loads(json.dumps(dict(spec.cfg_options)))  # as the record keeps them
    if record["spec"]["cfg_options"] != given:
        raise ValueError(
            f"{str(run_dir)!r} was started with cfg_options {record['spec']['cfg_options']}, not {given}: move it away "
            "or take another work dir"
        )
