"""The evaluate job: the metrics of a checkpoint on the test data of its config."""

from collections.abc import Callable
from pathlib import Path

from mmengine.runner import BaseLoop, Runner

from spikevision.deploy import is_artefact
from spikevision.jobs.config import check_data
from spikevision.jobs.deployed import check_network, load_network
from spikevision.jobs.runtime import prepare, recorded
from spikevision.jobs.spec import RunResult, RunSpec


def evaluate(spec: RunSpec, *, make_loop: Callable[[Runner], BaseLoop] | None = None) -> RunResult:
    """Evaluate a checkpoint on the config's test data.

    Args:
        spec: ``config`` and ``checkpoint`` (or a deployed network), and if wanted ``work_dir``, ``cfg_options``, ``launcher``.
        make_loop: Makes the test loop, in the place of the config's own; a cluster's calls the model elsewhere.

    Raises:
        FileNotFoundError: Config, data or checkpoint is missing.
        ValueError: Config, data or checkpoint is not right; says in what.
    """
    if spec.checkpoint is None:
        raise ValueError("evaluate needs a checkpoint")
    if spec.spike_stats and is_artefact(spec.checkpoint):
        raise ValueError(
            "spikes are counted on a checkpoint, not on a deployed network: leave out --spike-stats, or test the checkpoint"
        )
    job = prepare(spec)
    if job.config.get("test_dataloader") is None:
        raise ValueError(f"config {spec.config!r} has no test_dataloader to evaluate on")
    check_data(job.config, loaders=("test_dataloader",))
    check_network(spec.checkpoint)
    job.config.load_from = None
    job.config.resume = False
    with recorded(job, spec, name="evaluate") as record:
        runner = Runner.from_cfg(job.config)
        load_network(runner.model, spec.checkpoint)
        if make_loop is not None:
            runner._test_loop = make_loop(runner)
        metrics = dict(runner.test())
        record.update(metrics=job.task.with_units(metrics), seed=runner.seed)
        checkpoint = Path(spec.checkpoint)
        return RunResult(
            run_dir=record.path.parent, status="finished", metrics=metrics, checkpoint=checkpoint
        )
