import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.config import Config

from spikevision.jobs.distributed import _gather_by_network, start_processes


def torchrun(config, work_dir, *more) -> list[str]:
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "spikevision.cli.main", "train", str(config), "--work-dir", str(work_dir)),
        *("--launcher", "pytorch", *more),
    ]


def test_an_unknown_launcher_is_refused():
    with pytest.raises(ValueError, match="'slurm'; known are"):
        start_processes("slurm", Config({}))


def test_the_pytorch_launcher_without_torchrun_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="torchrun"):
        start_processes("pytorch", Config({}))


@pytest.mark.parametrize(
    ("evaluator", "metrics"),
    [
        ({"type": "Accuracy"}, lambda it: [it]),
        ([{"type": "CocoMetric"}, {"type": "Accuracy"}], lambda it: it),
        ({"type": "Evaluator", "metrics": [{"type": "IoUMetric"}]}, lambda it: it["metrics"]),
    ],
)
def test_metrics_gather_by_the_process_group_and_not_by_a_folder(evaluator, metrics):
    evaluator = Config({"it": evaluator}).it
    _gather_by_network(evaluator)
    assert all(metric["collect_device"] == "gpu" for metric in metrics(evaluator))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes would want two GPUs")
def test_two_processes_share_one_run_stop_together_and_go_on(config, tmp_path):
    """Three epochs of 40 batches per process; SIGTERM to torchrun reaches both."""
    with config.open("a") as file:
        file.write(
            "train_dataloader.update(dataset=dict(type='RepeatDataset', times=16,"
            " dataset=train_dataloader['dataset']))\n"
        )
    process = subprocess.Popen(
        torchrun(config, tmp_path / "runs"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Epoch(train)" in line:
            time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            break
    lines.append(process.communicate(timeout=100)[0])
    (run_dir,) = (tmp_path / "runs").iterdir()
    record = json.loads((run_dir / "run.json").read_text())
    assert record["status"] == "interrupted", "".join(lines)[-3000:]
    stopped_at = torch.load(run_dir / "interrupted.pth")["meta"]["iter"]
    assert stopped_at % 10 == 0
    done = subprocess.run(
        torchrun(config, tmp_path / "runs", "--resume"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((run_dir / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["iter"] == record["max_iters"] == 120
    assert list((tmp_path / "runs").iterdir()) == [run_dir]
