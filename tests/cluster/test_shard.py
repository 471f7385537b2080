import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from shard_scenario import outcome

from spikevision.cluster.shard import ShardedTestLoop, evaluate
from spikevision.cluster.spec import ClusterSpec
from spikevision.jobs import evaluate as job
from spikevision.jobs.spec import RunSpec

SHALLOW = dict(depths=(1, 1))  # one transformer block in each of the last two stages


def test_a_checkpoint_that_is_not_there_is_missed_before_ray_starts(cluster_config):
    with pytest.raises(FileNotFoundError, match="no.pth"):
        evaluate(RunSpec(config=str(cluster_config), checkpoint="no.pth"), ClusterSpec())


def write_job(folder: Path, config: Config, model: torch.nn.Module) -> list[str]:
    """Config and checkpoint of an untrained model, with what the test adds to a config."""
    config.pop("work_dir", None)
    config.custom_imports = dict(imports=["saboteur"], allow_failed_imports=False)
    config.custom_hooks = [hook for hook in config.custom_hooks if "Saboteur" not in hook["type"]]
    config.test_dataloader.batch_size = 1
    config.test_dataloader.dataset.pipeline.insert(
        0, dict(type="EndsOnce", mark=str(folder.parent / "struck"))
    )
    config.test_evaluator = [config.test_evaluator, dict(type="Fingerprint", prefix="all")]
    config.dump(folder / "tiny.py")
    torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "tiny.pth")
    return [str(folder / "tiny.py"), str(folder / "tiny.pth")]


@pytest.fixture
def short_path(tmp_path_factory):
    """A folder of a short name: mmengine's layout of a config with long paths takes seconds."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def classification(cluster_config, short_path):
    from mmpretrain.registry import MODELS

    folder = short_path / "cla"
    folder.mkdir()
    config = Config.fromfile(cluster_config)
    init_default_scope("mmpretrain")
    torch.manual_seed(0)
    return write_job(folder, config, MODELS.build(config.model))


@pytest.fixture
def detection(short_path):
    from tiny_detectors import build, runner_config

    folder = short_path / "det"
    folder.mkdir()
    config = runner_config(folder)
    config.model.backbone.arch.update(SHALLOW)
    return write_job(folder, config, build(config))


@pytest.fixture
def segmentation(short_path):
    from tiny_segmentors import build, enliven, runner_config, write_ade_folder

    folder = short_path / "seg"
    folder.mkdir()
    write_ade_folder(folder / "data")
    config = runner_config(folder / "data", folder / "work")
    write_ade_folder(folder / "more", seed=1)  # two pictures are few for three actors
    for kind in ("images", "annotations"):
        for path in (folder / "more" / kind / "validation").iterdir():
            path.rename(folder / "data" / kind / "validation" / f"more_{path.name}")
    config.model.backbone.arch.update(SHALLOW)
    return write_job(folder, config, enliven(build(config.model)))


class PoolInThisProcess:
    """Does the units one by one, the way an actor would."""

    def map(self, worker, shipped, units):
        one = worker(shipped)
        for index, unit in enumerate(units):
            yield one.run(index, unit)


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_rows_of_units_merge_to_the_metrics_and_statistics_of_one_process(
    task, request, short_path
):
    config, checkpoint = request.getfixturevalue(task)
    (short_path / "struck").touch()
    spec = RunSpec(config=config, checkpoint=checkpoint, work_dir=str(short_path), spike_stats=True)
    expected = outcome(job.evaluate(spec))
    found = job.evaluate(
        spec,
        make_loop=lambda runner: ShardedTestLoop(runner, PoolInThisProcess(), Path(checkpoint)),
    )
    assert outcome(found) == expected
    assert expected["metrics"]["all/samples"] >= 4


@pytest.mark.ray
@pytest.mark.slow
def test_actors_give_the_result_of_one_process_to_the_bit_whoever_is_killed(
    classification, detection, segmentation, loopback, ray_environment, ray_address, short_path
):
    DefaultScope._instance_dict.clear()
    script = Path(__file__).with_name("shard_scenario.py")
    jobs = [*classification, *detection, *segmentation]
    done = subprocess.run(
        [*loopback, sys.executable, str(script), ray_address, str(short_path), *jobs],
        env=ray_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    metrics = ("accuracy/top1", "coco/bbox_mAP", "mIoU")
    for name, outcomes in zip(metrics, found, strict=True):
        expected = outcomes["one process"]
        assert name in expected["metrics"]
        assert expected["metrics"]["all/samples"] >= 4
        assert expected["neurons"]
        assert outcomes.pop("killed")
        for variant, result in outcomes.items():
            assert result == expected, (name, variant)
        over_actors = {"1 actors", "2 actors", "3 actors", "3 actors, one killed"}
        assert outcomes.keys() == {"one process"} | over_actors
