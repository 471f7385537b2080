"""The hook in one process, with Ray's answers given by the test."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import ray.train
import torch
from tiny_training import CONFIG, SPIKING

from spikevision.cluster.hooks import CHECKPOINT, ReportHook
from spikevision.cluster.storage import Storage
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train


@pytest.fixture
def reports(monkeypatch, tmp_path):
    """What was reported: metrics, name, and the folder as it was at that moment."""
    kept = []

    def report(metrics, *, checkpoint, checkpoint_dir_name):
        folder = tmp_path / "reported" / checkpoint_dir_name
        shutil.copytree(checkpoint.path, folder)
        kept.append(SimpleNamespace(metrics=metrics, name=checkpoint_dir_name, folder=folder))

    monkeypatch.setattr(ray.train, "report", report)
    monkeypatch.setattr(ray.train, "get_preemption_info", lambda: None)
    return kept


@pytest.fixture
def run(pictures, tmp_path):
    """Train three epochs of five steps, or go on with them."""
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.format(root=pictures, imports=[], hooks=[]))

    def run(*, interval=1, by_epoch=True, restored=None, **options):
        storage = Storage(str(tmp_path / "runs"))
        saver = ReportHook(
            storage, name="one", interval=interval, by_epoch=by_epoch, restored=restored
        )
        resume = False
        if restored:
            shutil.copy(tmp_path / "runs" / "one" / "run.json", restored)
            resume = str(restored / CHECKPOINT)
        spec = RunSpec(
            config=str(config),
            work_dir=str(tmp_path / "work"),
            resume=resume,
            cfg_options=options,
        )
        return train(spec, saver=saver)

    return run


def history(tmp_path) -> list[dict]:
    lines = (tmp_path / "runs" / "one" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_each_epoch_is_reported_after_its_validation_and_nothing_else_is_saved(
    run, reports, tmp_path
):
    result = run()
    assert [report.name for report in reports] == [
        "epoch_1_iter_5",
        "epoch_2_iter_10",
        "epoch_3_iter_15",
    ]
    assert all("accuracy/top1" in report.metrics for report in reports)
    assert [row["iter"] for row in history(tmp_path)] == [5, 10, 15]
    assert not list(result.run_dir.glob("*.pth"))
    assert (tmp_path / "runs" / "one" / "run.json").is_file()


def test_an_interval_of_epochs_leaves_the_history_whole_and_the_end_is_reported(
    run, reports, tmp_path
):
    run(interval=2)
    assert [report.metrics["iter"] for report in reports] == [10, 15]
    assert [row["epoch"] for row in history(tmp_path)] == [1, 2, 3]


def test_an_interval_of_iterations_reports_within_epochs(run, reports):
    run(interval=4, by_epoch=False)
    assert [report.metrics["iter"] for report in reports] == [4, 8, 12, 15]


def test_accumulated_gradients_are_waited_for(run, reports):
    run(interval=2, by_epoch=False, **{"optim_wrapper.accumulative_counts": 3})
    assert [report.metrics["iter"] for report in reports] == [3, 6, 9, 12, 15]


def test_a_spot_notice_is_answered_by_one_checkpoint(run, reports, monkeypatch):
    monkeypatch.setattr("spikevision.cluster.hooks.NOTICE_INTERVAL", 3)
    monkeypatch.setattr(ray.train, "get_preemption_info", lambda: object())
    run(interval=100)
    assert [report.metrics["iter"] for report in reports] == [3, 15]


def test_a_training_without_epochs_is_reported_by_iterations(run, reports, tmp_path):
    run(
        interval=4,
        by_epoch=False,
        train_cfg={
            "_delete_": True,
            "type": "IterBasedTrainLoop",
            "max_iters": 9,
            "val_interval": 3,
        },
        **{"train_dataloader.sampler": {"type": "InfiniteSampler", "shuffle": True}},
        param_scheduler=None,
    )
    assert [report.metrics["iter"] for report in reports] == [4, 8, 9]
    assert [row["iter"] for row in history(tmp_path)] == [3, 6, 9]


def test_a_report_that_is_due_with_a_validation_waits_for_its_metrics(run, reports):
    """A trial of a sweep is judged by what this validation found, not by the one before."""
    run(
        interval=3,
        by_epoch=False,
        train_cfg={
            "_delete_": True,
            "type": "IterBasedTrainLoop",
            "max_iters": 8,
            "val_interval": 3,
        },
        **{"train_dataloader.sampler": {"type": "InfiniteSampler", "shuffle": True}},
        param_scheduler=None,
    )
    assert [report.metrics["iter"] for report in reports] == [3, 6, 8]
    assert all("accuracy/top1" in report.metrics for report in reports)


def test_metrics_of_numpy_reach_the_history_and_a_missing_one_is_named(tmp_path, monkeypatch):
    """mmseg's metrics are NumPy numbers, some in float32, which JSON does not take."""
    logged = SimpleNamespace(log_scalars={})
    runner = SimpleNamespace(work_dir=str(tmp_path), epoch=1, iter=5, message_hub=logged)
    settings = {"name": "one", "interval": 1, "by_epoch": True, "restored": None}
    hook = ReportHook(Storage(str(tmp_path / "runs")), **settings, required=["mIoU"])
    hook.after_val_epoch(runner, {"mIoU": np.float32(0.5)})
    hook._close_row(runner)
    hook._history.write()
    assert history(tmp_path)[0]["mIoU"] == 0.5
    with pytest.raises(ValueError, match="the validation gives no 'mIoU'; it gives aAcc"):
        hook.after_val_epoch(runner, {"aAcc": 0.5})


def test_spikes_that_were_counted_become_energy(run, reports):
    """1e9 pJ are one mJ, of the model that counts each operation."""
    run(interval=3, model=SPIKING, custom_hooks=[{"type": "spikevision.SpikeStatisticsHook"}])
    (report,) = reports
    (statistics,) = report.folder.parents[1].glob("work/*/statistics.json")
    models = json.loads(statistics.read_text())["summary"]["energy"]
    (strict,) = [model["snn_mj"] for model in models if model["model"] == "strict 45 nm"]
    assert report.metrics["energy_pj"] == strict * 1e9 > 0


def test_a_run_goes_on_from_a_report_within_an_epoch_as_if_nothing_had_happened(
    run, reports, tmp_path
):
    run(interval=7, by_epoch=False, model=SPIKING)
    (whole,) = [report for report in reports if report.metrics["iter"] == 15]
    within = next(report for report in reports if report.metrics["iter"] == 7)
    rows = history(tmp_path)
    expected = torch.load(whole.folder / CHECKPOINT, weights_only=True)
    shutil.rmtree(whole.folder)
    run(interval=100, by_epoch=False, restored=within.folder, model=SPIKING)
    found = torch.load(whole.folder / CHECKPOINT, weights_only=True)
    assert found["meta"]["iter"] == 15
    for name, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][name], value), name
    times = ("time", "data_time")
    assert [{k: v for k, v in row.items() if k not in times} for row in history(tmp_path)] == [
        {k: v for k, v in row.items() if k not in times} for row in rows
    ]
    assert json.loads((tmp_path / "runs" / "one" / "run.json").read_text())["resumed"] == 1


def test_a_process_takes_its_own_buffers_back(run, reports, tmp_path):
    run(interval=7, by_epoch=False, model=SPIKING)
    (whole,) = [report for report in reports if report.metrics["iter"] == 15]
    file = whole.folder / "process_0_of_1.pt"
    own = torch.load(file, weights_only=True)
    name = next(name for name in own["buffers"] if name.endswith("running_mean"))
    own["buffers"][name] += 1
    torch.save(own, file)
    checkpoint = torch.load(whole.folder / CHECKPOINT, weights_only=True)
    hook = ReportHook(
        Storage(str(tmp_path)), name="one", interval=1, by_epoch=True, restored=whole.folder
    )
    before = checkpoint["state_dict"][name].clone()
    hook.after_load_checkpoint(SimpleNamespace(train_loop=None), checkpoint)
    assert torch.equal(checkpoint["state_dict"][name], before + 1)
