"""A trial in this process, with Tune's answers given by the test."""

import json
import shutil
from types import SimpleNamespace

import pytest
import ray.tune
from tiny_training import CONFIG

from spikevision.cluster.launch import retention, ship
from spikevision.cluster.spec import ClusterSpec
from spikevision.cluster.sweep_space import read_space
from spikevision.cluster.sweep_trial import TrialTask, run_trial
from spikevision.jobs.config import load_config
from spikevision.jobs.spec import RunSpec
from spikevision.tasks import TASKS

LR = "optim_wrapper.optimizer.lr"


@pytest.fixture
def tuned(monkeypatch, tmp_path):
    """What Tune was told; ``checkpoint`` is what it wants a trial to start from."""
    told = SimpleNamespace(reports=[], checkpoint=None)

    def report(metrics, *, checkpoint):
        folder = tmp_path / "reported" / str(metrics["iter"])
        shutil.copytree(checkpoint.path, folder)
        told.reports.append(SimpleNamespace(metrics=metrics, folder=folder))

    context = SimpleNamespace(get_trial_id=lambda: "a1")
    monkeypatch.setattr(ray.tune, "report", report)
    monkeypatch.setattr(ray.tune, "get_context", lambda: context)
    monkeypatch.setattr(ray.tune, "get_checkpoint", lambda: told.checkpoint)
    return told


@pytest.fixture
def task(pictures, tmp_path):
    """Make the task of a sweep over two learning rates, one of which no optimizer takes."""
    file = tmp_path / "tiny.py"
    file.write_text(CONFIG.format(root=pictures, imports=[], hooks=[]))
    (tmp_path / "space.py").write_text(
        f"space = {{'{LR}': dict(type='choice', values=[2e-3, -1.0])}}"
    )
    config = load_config(file)
    space = read_space(tmp_path / "space.py", config=config, task=TASKS["classification"])

    def make(attempt: str = "first", required: tuple[str, ...] = ("accuracy/top1",)) -> TrialTask:
        cluster = ClusterSpec()
        shipped = ship(
            config,
            RunSpec(config=str(file)),
            cluster,
            storage_uri=str(tmp_path / "trials"),
            name="",
        )
        shipped["checkpoints"] = {"interval": 1, "by_epoch": True, "required": list(required)}
        return TrialTask(
            shipped=shipped,
            space=space,
            cluster=cluster,
            gpus=0,
            kept=retention(config),
            attempt=attempt,
        )

    return make


def test_a_trial_trains_with_its_value_and_reports_each_validation(tuned, task, tmp_path):
    run_trial({LR: 0}, task=task())
    assert [report.metrics["epoch"] for report in tuned.reports] == [1, 2, 3]
    assert all("accuracy/top1" in report.metrics for report in tuned.reports)
    assert "lr=0.002" in (tmp_path / "trials" / "a1" / "config.py").read_text()
    assert json.loads((tmp_path / "trials" / "a1" / "run.json").read_text())["status"] == "finished"


def test_a_trial_goes_on_from_its_checkpoint(tuned, task, tmp_path):
    run_trial({LR: 0}, task=task())
    second, whole = tuned.reports[1:]
    tuned.checkpoint = ray.tune.Checkpoint.from_directory(str(second.folder))
    tuned.reports = []
    shutil.rmtree(whole.folder)
    run_trial({LR: 0}, task=task("restored"))
    (last,) = tuned.reports
    assert last.metrics["iter"] == 15
    assert last.metrics["loss"] == whole.metrics["loss"]
    assert last.metrics["accuracy/top1"] == whole.metrics["accuracy/top1"]


def test_a_mistake_is_noted_and_not_tried_again_by_the_same_driver(
    tuned, task, tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match=r"Invalid learning rate: -1\.0"):
        run_trial({LR: 1}, task=task())
    note = json.loads((tmp_path / "trials" / "a1" / "failed.json").read_text())
    assert note == {"attempt": "first", "error": "ValueError: Invalid learning rate: -1.0"}
    with pytest.raises(RuntimeError, match="ValueError: Invalid learning rate"):
        run_trial({LR: 0}, task=task())
    assert tuned.reports == []
    run_trial({LR: 0}, task=task("restored"))
    assert len(tuned.reports) == 3


def test_a_metric_that_the_validation_does_not_give_fails_the_trial(tuned, task):
    with pytest.raises(ValueError, match="gives no 'single-label/recall'; it gives accuracy/top1"):
        run_trial({LR: 0}, task=task(required=("single-label/recall",)))
