import contextlib
import csv
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from equal_runs import until
from tiny_training import CONFIG, SHALLOW

from spikevision.cluster.spec import ClusterSpec
from spikevision.cluster.sweep import sweep
from spikevision.datasets.digits import prepare_digits
from spikevision.jobs.spec import RunSpec

REPOSITORY = Path(__file__).parents[2]
RATES = [5e-4, 1e-3, 2e-3, 4e-3, 5e-2, -1.0]
DIGITS = """
_base_ = [{base!r}]
model = dict(
    backbone=dict(arch=dict(embed_dims=(8, 16, 24, 32), num_heads=1, depths=(1, 1)), time_steps=2),
    head=dict(in_channels=32))
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r} + '/train', indices=list(range(0, 4000, 63))))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r} + '/test', indices=list(range(0, 1000, 50))))
test_dataloader = val_dataloader
param_scheduler = None
train_cfg = dict(max_epochs=2, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1))
"""
QUICK = "configs/quick/meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py"
COORDINATOR = "_AutoscalingCoordinatorActor"  # of Ray: one per cluster from its first training on
SERVICES = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent", f"ray::{COORDINATOR}")
HELD = """
import sys, time
from spikevision.cluster.session import session
with session(sys.argv[1]):
    where = {"address": sys.argv[1]}
    from ray.util.state import list_actors, list_placement_groups
    for _ in range(60):  # the last of them are on their way out when a driver has gone
        actors = list_actors(**where, filters=[("state", "!=", "DEAD"), ("class_name", "!=", sys.argv[2])])
        held = actors + list_placement_groups(**where, filters=[("state", "!=", "REMOVED")])
        if not held:
            break
        time.sleep(0.5)
    print([str(each) for each in held])
"""


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A small network and two batches an epoch of real digits, two epochs."""
    try:
        data = prepare_digits(REPOSITORY / "data")
    except OSError as error:
        pytest.skip(f"no real digits: {error}")
    path = tmp_path_factory.mktemp("digits") / "digits.py"
    path.write_text(DIGITS.format(base=str(REPOSITORY / QUICK), data=str(data)))
    return path


@pytest.fixture
def tiny(pictures, tmp_path) -> Path:
    """The tiny training of a spiking network, three epochs of five steps."""
    path = tmp_path / "tiny.py"
    path.write_text(CONFIG.format(root=pictures, imports=[], hooks=[]) + f"model = {SHALLOW!r}\n")
    return path


@pytest.fixture
def space(tmp_path):
    """Write a space."""

    def write(text: str) -> Path:
        path = tmp_path / "space.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def trials(tmp_path):
    """The trials that a sweep of this test has written down."""

    def read() -> list[dict]:
        path = tmp_path / "runs" / "one" / "sweep.json"
        return json.loads(path.read_text())["trials"] if path.exists() else []

    return read


@pytest.fixture
def assert_nothing_is_held(ray_head, ray_environment, loopback):
    """That no actor, no placement group and no process of either is left in the Ray of the tests."""

    def working() -> list[str]:
        titles = []
        for process in psutil.Process(ray_head.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                titles.append(" ".join(process.cmdline()))
        return [t for t in titles if t.startswith("ray::") and not t.startswith(SERVICES)]

    def check() -> None:
        done = subprocess.run(
            [*loopback, sys.executable, "-c", HELD, ray_head.address, COORDINATOR],
            env=ray_environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout + done.stderr[-2000:]
        end = time.monotonic() + 60  # a process outlives its actor by a moment
        while working() and time.monotonic() < end:
            time.sleep(0.5)
        assert working() == []

    return check


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_whose_driver_is_killed_is_restored_and_leaves_nothing_behind(
    digits,
    space,
    trials,
    spikevision,
    ray_environment,
    ray_address,
    tmp_path,
    assert_nothing_is_held,
):
    moves = space(
        "space = {'time_steps': dict(type='choice', values=[1, 2]),\n"
        f"    'optim_wrapper.optimizer.lr': dict(type='choice', values={RATES})}}\n"
        "search = dict(type='grid', concurrent=2)\nscheduler = dict(type='asha', factor=2)\n"
        "objectives = {'loss': 'min', 'energy_pj': 'min'}"
    )
    command = spikevision("sweep", digits, moves, "--address", ray_address, "--name", "one")
    command += ["--storage", str(tmp_path / "runs"), "--max-failures", "0"]
    driver = subprocess.Popen(command, env=ray_environment, stdout=subprocess.DEVNULL)
    until(
        lambda: sum(row["status"] in ("finished", "stopped") for row in trials()) >= 2,
        driver,
        seconds=400,
    )
    driver.kill()
    driver.wait()
    done_before = {row["trial"]: row for row in trials() if row["status"] == "finished"}

    restored = subprocess.run(
        [*command, "--restore"], env=ray_environment, capture_output=True, text=True
    )
    assert restored.returncode == 0, restored.stdout[-3000:] + restored.stderr[-3000:]
    rows = trials()
    tried = [tuple(row["values"].values()) for row in rows]
    assert sorted(tried) == sorted(itertools.product([1, 2], RATES))
    failed = [row for row in rows if row["status"] == "failed"]
    assert [row["values"]["optim_wrapper.optimizer.lr"] for row in failed] == [-1.0, -1.0]
    assert {row["error"] for row in failed} == {"ValueError: Invalid learning rate: -1.0"}
    assert "failed: ValueError: Invalid learning rate: -1.0" in restored.stdout
    rest = [row for row in rows if row not in failed]
    assert {row["status"] for row in rest} == {"finished", "stopped"}
    assert all({"accuracy/top1", "loss", "energy_pj"} <= row["metrics"].keys() for row in rest)
    assert all(row["metrics"]["energy_pj"] > 0 for row in rest)
    assert all(Path(row["checkpoint"], "checkpoint.pth").is_file() for row in rest)
    # what finished just before the end may have run again: Tune writes its state every few seconds
    after = {row["trial"]: row for row in rows}
    for trial, row in done_before.items():
        assert (after[trial]["values"], after[trial]["status"]) == (row["values"], "finished")
    folder = tmp_path / "runs" / "one"
    assert len(list(csv.DictReader((folder / "sweep.csv").open()))) == len(rows)
    assert "Best trial" in (folder / "sweep.html").read_text()
    assert_nothing_is_held()


@pytest.mark.ray
@pytest.mark.slow
def test_trials_with_workers_of_their_own_free_their_places_when_they_are_stopped(
    tiny, space, trials, spikevision, ray_environment, ray_address, tmp_path, assert_nothing_is_held
):
    tiny.write_text(
        tiny.read_text() + "model['head']['loss'] = dict(type='CrossEntropyLoss', loss_weight=1)\n"
    )
    moves = space(  # the second one's loss is the larger from the first step on
        "space = {'model.head.loss.loss_weight': dict(type='grid', values=[1, 100])}\n"
        "search = dict(type='grid', concurrent=1)\nscheduler = dict(type='asha', factor=2)\n"
        "objectives = {'loss': 'min'}"
    )
    done = subprocess.run(
        spikevision("sweep", tiny, moves, "--address", ray_address, "--workers", 2, "--name", "one")
        + ["--storage", str(tmp_path / "runs")],
        env=ray_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    good, bad = trials()
    assert (good["status"], good["step"]) == ("finished", 3)
    assert (bad["status"], bad["step"]) == ("stopped", 1)
    assert "energy_pj" not in good["metrics"]
    last = Path(good["checkpoint"])
    assert {path.name for path in last.iterdir()} >= {"checkpoint.pth", "process_1_of_2.pt"}
    assert_nothing_is_held()


LR = "space = {'optim_wrapper.optimizer.lr': dict(type='choice', values=[0.1])}\n"


def refused(tiny: Path, moves: Path, tmp_path: Path, **kwargs) -> None:
    """Ask for a sweep that must not get as far as Ray."""
    restore = kwargs.pop("restore", False)
    cluster = ClusterSpec(storage=str(tmp_path / "runs"), **kwargs)
    sweep(RunSpec(config=str(tiny)), moves, cluster, restore=restore)


def test_a_field_that_the_config_does_not_have_is_refused_before_anything_starts(
    tiny, space, tmp_path
):
    moves = space("space = {'optim_wrapper.optimiser.lr': dict(type='choice', values=[1])}")
    with pytest.raises(
        ValueError,
        match=r"no field 'optim_wrapper.optimiser.lr'; nearest are 'optim_wrapper.optimizer",
    ):
        refused(tiny, moves, tmp_path)
    assert not (tmp_path / "runs").exists()


def test_there_has_to_be_a_sweep_to_restore(tiny, space, tmp_path):
    with pytest.raises(FileNotFoundError, match="none holds no run"):
        refused(tiny, space(LR), tmp_path, name="none", restore=True)
    with pytest.raises(ValueError, match="--restore needs the --name"):
        refused(tiny, space(LR), tmp_path, restore=True)


def test_a_name_belongs_to_one_config_and_one_space(tiny, space, tmp_path, monkeypatch):
    monkeypatch.setattr("spikevision.cluster.sweep._run", lambda *args, **kwargs: None)
    refused(tiny, space(LR), tmp_path, name="one")
    with pytest.raises(ValueError, match="--restore goes on with it"):
        refused(tiny, space(LR), tmp_path, name="one")
    refused(tiny, space(LR), tmp_path, name="one", restore=True)
    with pytest.raises(ValueError, match=r"another config .*0\.2"):
        refused(tiny, space(LR.replace("0.1", "0.2")), tmp_path, name="one", restore=True)


def test_a_config_without_a_validation_is_refused(tiny, space, tmp_path):
    tiny.write_text(
        tiny.read_text() + "val_cfg = None\nval_dataloader = None\nval_evaluator = None\n"
    )
    with pytest.raises(ValueError, match="a training that is validated"):
        refused(tiny, space(LR), tmp_path)


def test_a_range_of_workers_that_splits_a_batch_unevenly_is_refused(tiny, space, tmp_path):
    with pytest.raises(ValueError, match=r"2:6 with batch_size=4 .* of 24, .* among 5 workers"):
        refused(tiny, space(LR), tmp_path, workers=(2, 6))
    moves = LR + "space['train_dataloader.batch_size'] = dict(type='choice', values=[4, 3])\n"
    with pytest.raises(ValueError, match=r"2:3 with batch_size=3 .* of 9, .* among 2 workers"):
        refused(tiny, space(moves), tmp_path, workers=(2, 3))


def test_trials_that_the_cluster_cannot_hold_are_refused(
    tiny, space, tmp_path, two_cpus, monkeypatch
):
    monkeypatch.setattr("spikevision.cluster.sweep.session", two_cpus)
    with pytest.raises(ValueError, match="3 workers .* 2 CPUs .*ask for at most 2"):
        refused(tiny, space(LR), tmp_path, workers=(3, 3), address="h:1")


def test_a_second_driver_of_a_sweep_is_refused(tiny, space, tmp_path):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    holder = {"host": "elsewhere", "pid": 1, "seen": time.time()}
    (folder / "driver.json").write_text(json.dumps(holder))
    with pytest.raises(ValueError, match="driven by process 1 on elsewhere already"):
        refused(tiny, space(LR), tmp_path, name="one", restore=True)
