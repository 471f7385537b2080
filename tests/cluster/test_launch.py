import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from equal_runs import assert_equals, rows, until
from mmengine.config import Config

from spikevision.cluster.launch import check_size, local_cpus, plain_error, retention, train
from spikevision.cluster.spec import ClusterSpec
from spikevision.jobs.spec import RunSpec


@pytest.fixture
def s3(loopback, ray_environment):
    """URI of an S3-like storage on loopback."""
    port = 5917
    server = subprocess.Popen(
        [*loopback, sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    make = (
        "import time\nfrom pyarrow.fs import FileSystem\n"
        "for _ in range(60):\n"
        "    try:\n"
        f"        FileSystem.from_uri('s3://runs?{options}&allow_bucket_creation=true')[0].create_dir('runs')\n"
        "        break\n"
        "    except OSError:\n"
        "        time.sleep(1)\n"
    )
    subprocess.run([*loopback, sys.executable, "-c", make], env=ray_environment, check=True)
    yield f"s3://runs/tests?{options}"
    server.kill()
    server.wait()


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_in_s3_whose_worker_and_then_whose_driver_is_killed_equals_the_undisturbed_one_to_the_bit(
    cluster_config, undisturbed, spikevision, ray_environment, ray_address, loopback, s3, tmp_path
):
    command = spikevision("train", cluster_config, "--workers", 2, "--name", "one")
    command += ["--address", ray_address, "--storage", s3]
    (tmp_path / "kill_at").write_text("31")  # in mid-epoch, as is 45
    (tmp_path / "wait_at").write_text("45")
    driver = subprocess.Popen(command, env=ray_environment)
    until(lambda: (tmp_path / "reached_45").exists(), driver)
    assert not (tmp_path / "kill_at").exists()
    assert len({row["pid"] for row in rows(tmp_path / "losses_0.jsonl")}) == 2
    driver.kill()
    driver.wait()
    (tmp_path / "wait_at").unlink()
    done = subprocess.run(command, env=ray_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "last checkpoint: s3://runs/tests/one/epoch_3_iter_60/checkpoint.pth" in done.stdout
    assert len({row["pid"] for row in rows(tmp_path / "losses_0.jsonl")}) == 3

    run = tmp_path / "run"
    fetch = (
        "from pyarrow.fs import FileSystem, copy_files, LocalFileSystem\n"
        f"fs, path = FileSystem.from_uri({s3!r})\n"
        f"copy_files(path + '/one', {str(run)!r}, fs, LocalFileSystem())"
    )
    subprocess.run([*loopback, sys.executable, "-c", fetch], env=ray_environment, check=True)
    assert_equals(undisturbed, tmp_path, run / "epoch_3_iter_60" / "checkpoint.pth")
    assert len(list(run.glob("*/checkpoint.pth"))) == 2  # max_keep_ckpts
    history = rows(run / "metrics.jsonl")
    assert [(row["epoch"], row["iter"]) for row in history] == [(1, 20), (2, 40), (3, 60)]
    assert all("accuracy/top1" in row for row in history)
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["iter"], record["resumed"]) == ("finished", 60, 2)


def test_a_run_name_belongs_to_one_config(cluster_config, tmp_path, monkeypatch):
    monkeypatch.setattr("spikevision.cluster.launch._run", lambda *args, **kwargs: None)
    cluster = ClusterSpec(name="one", storage=str(tmp_path / "runs"))
    train(RunSpec(config=str(cluster_config)), cluster)
    train(RunSpec(config=str(cluster_config), resume=True), cluster)
    other = RunSpec(config=str(cluster_config), cfg_options={"optim_wrapper.optimizer.lr": 0.5})
    with pytest.raises(ValueError, match=r"another config .*lr=0\.5"):
        train(other, cluster)


def test_there_has_to_be_a_run_to_resume(cluster_config, tmp_path):
    cluster = ClusterSpec(name="none", storage=str(tmp_path / "runs"))
    with pytest.raises(FileNotFoundError, match="none holds no run"):
        train(RunSpec(config=str(cluster_config), resume=True), cluster)
    with pytest.raises(ValueError, match="known by its name"):
        train(RunSpec(config=str(cluster_config), resume="runs/one"), cluster)


def test_an_elastic_size_that_splits_a_batch_unevenly_is_refused_at_once(cluster_config, tmp_path):
    cluster = ClusterSpec(workers=(2, 6), storage=str(tmp_path / "runs"))
    with pytest.raises(ValueError, match=r"2:6 with batch_size=4 .* of 24, .* among 5 workers"):
        train(RunSpec(config=str(cluster_config)), cluster)


def test_more_workers_than_the_cluster_has_are_refused_before_anything_trains(
    cluster_config, two_cpus, tmp_path, monkeypatch
):
    monkeypatch.setattr("spikevision.cluster.launch.session", two_cpus)
    monkeypatch.setattr("spikevision.cluster.launch.fit", lambda *words, **named: None)
    cluster = ClusterSpec(address="h:1", workers=(3, 3), storage=str(tmp_path / "runs"))
    with pytest.raises(ValueError, match="3 workers .* 2 CPUs .*ask for at most 2"):
        train(RunSpec(config=str(cluster_config)), cluster)


def test_a_second_driver_of_a_run_is_refused_and_a_finished_run_is_not_trained_again(
    cluster_config, tmp_path, monkeypatch
):
    trained = []
    monkeypatch.setattr("spikevision.cluster.launch._run", lambda *w, **named: trained.append(1))
    cluster = ClusterSpec(name="one", storage=str(tmp_path))
    train(RunSpec(config=str(cluster_config)), cluster)
    record = {"status": "finished", "metrics": {}}
    (tmp_path / "one" / "run.json").write_text(json.dumps(record))
    assert train(RunSpec(config=str(cluster_config)), cluster).status == "finished"
    assert trained == [1]
    holder = {"host": "elsewhere", "pid": 1, "seen": time.time()}
    (tmp_path / "one" / "driver.json").write_text(json.dumps(holder))
    with pytest.raises(ValueError, match="driven by process 1 on elsewhere already"):
        train(RunSpec(config=str(cluster_config)), cluster)


def test_a_cluster_that_cannot_hold_the_workers_is_named():
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0, "GPU": 2.0})
    assert check_size(ray, ClusterSpec(workers=(2, 9))) == 1.0
    assert check_size(ray, ClusterSpec(workers=(4, 4), gpus_per_worker=0.5)) == 0.5
    assert check_size(ray, ClusterSpec(workers=(8, 8), gpus_per_worker=0)) == 0.0
    with pytest.raises(ValueError, match="3 workers .* 8 CPUs and 2 GPUs; ask for at most 2"):
        check_size(ray, ClusterSpec(workers=(3, 3)))


@pytest.mark.parametrize(
    ("hook", "kept"),
    [
        ({}, (None, None, "max")),
        ({"max_keep_ckpts": 2, "save_best": "auto"}, (2, "accuracy/top1", "max")),
        ({"max_keep_ckpts": 1, "save_best": ["loss", "f1"]}, (1, "loss", "min")),
        ({"save_best": "error", "rule": "less"}, (None, "error", "min")),
        ({"save_best": None, "max_keep_ckpts": -1}, (None, None, "max")),
    ],
)
def test_what_the_checkpoint_hook_of_a_config_says_is_kept(hook, kept):
    config = Config({"default_scope": "mmpretrain", "default_hooks": {"checkpoint": hook}})
    assert tuple(retention(config).values()) == kept


def test_our_own_ray_takes_more_workers_than_the_machine_has_cpus():
    assert local_cpus(ClusterSpec(workers=(1, 1000))) == 1000
    assert local_cpus(ClusterSpec()) == os.cpu_count()


def test_a_mistake_that_a_worker_finds_reaches_the_user_as_it_is():
    mistake = ValueError("no such field")
    error = SimpleNamespace(worker_failures={1: mistake})
    assert plain_error(error) is mistake
    lost = SimpleNamespace(worker_failures={0: OSError("gone"), 1: OSError("gone")})
    assert str(plain_error(lost)) == "2 worker(s) lost: OSError: gone"
