"""What all jobs do around their work: load the config, make the run folder, keep the record."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.distributed import from_main_process, is_main_process, start_processes
from spikevision.jobs.record import RunRecord
from spikevision.jobs.run_dir import base_dir, new_run_dir
from spikevision.jobs.spec import RunSpec
from spikevision.statistics import SpikeStatisticsHook
from spikevision.tasks import TaskSpec


@dataclass(frozen=True)
class Job:
    """A prepared job: its config, its task and the folder of its runs."""

    config: Config
    task: TaskSpec
    base: Path


def prepare(spec: RunSpec) -> Job:
    """Load the config of a job, find its task and join the other processes.

    Raises:
        FileNotFoundError: The config does not exist.
        ValueError: The config or one of its overrides is wrong.
    """
    config = load_config(spec.config, options=spec.cfg_options)
    task = task_of(config)
    if spec.spike_stats:
        _count_spikes(config)
    start_processes(spec.launcher, config)
    init_default_scope(task.scope)
    base = base_dir(spec.config, work_dir=spec.work_dir or config.get("work_dir"))
    return Job(config, task, base)


def _count_spikes(config: Config) -> None:
    """Add the statistics hook, unless the config has one, with settings of its own."""
    hooks = list(config.get("custom_hooks") or [])
    name = SpikeStatisticsHook.__name__
    if not any(
        name in str(hook["type"] if isinstance(hook, dict) else type(hook)) for hook in hooks
    ):
        config.custom_hooks = [*hooks, {"type": f"spikevision.{name}"}]


def build_model(config: Config) -> Any:
    """The model of a config, with the data preprocessor that mmengine's Runner would give it."""
    model = dict(config.model)
    if config.get("data_preprocessor"):
        model.setdefault("data_preprocessor", config.data_preprocessor)
    return MODELS.build(model)


@contextmanager
def recorded(
    job: Job, spec: RunSpec, *, name: str, run_dir: Path | None = None
) -> Iterator[RunRecord]:
    """Run folder and record around a job's work.

    The folder is new unless ``run_dir`` is given. The config is written to it as ``config.py`` and read again from
    there, so that what runs is what was written.
    """
    if run_dir is None:
        run_dir = from_main_process(new_run_dir(job.base) if is_main_process() else None)
    config = job.config
    config.work_dir = str(run_dir)
    config.experiment_name = f"{Path(spec.config).stem}_{uuid.uuid4().hex[:6]}"
    record = RunRecord(run_dir, job=name, spec=spec, active=is_main_process())
    with record:
        if is_main_process():
            _keep_config(config, run_dir)
        _name_visualizer(config)
        yield record


def _keep_config(config: Config, run_dir: Path) -> None:
    """Write ``config.py``, leaving out what belongs to this one start of the run."""
    kept = Config(config.to_dict())
    for name in ("work_dir", "experiment_name", "resume", "launcher"):
        kept.pop(name, None)
    kept.dump(run_dir / "config.py")


def _name_visualizer(config: Config) -> None:
    """Give the run a visualizer of its own: of one name mmengine makes one per process, writing to the first run."""
    if isinstance(config.get("visualizer"), dict):
        config.visualizer["name"] = config.experiment_name
