from types import SimpleNamespace

import pytest
from mmengine.config import Config

from spikevision.cluster.spec import ClusterSpec
from spikevision.cluster.sweep_space import read_space
from spikevision.cluster.sweep_trial import HEAD, TrialTask
from spikevision.tasks import TASKS

pytest.importorskip("ray")
from spikevision.cluster import sweep_tune  # noqa: E402

SPACE = """
space = {
    'optim.lr': dict(type='loguniform', low=1e-4, high=1e-2),
    'time_steps': dict(type='choice', values=[1, 2, 4]),
    'train_cfg.max_epochs': dict(type='choice', values=[4, 9]),
}
"""


def space_of(tmp_path, text: str = ""):
    path = tmp_path / "space.py"
    path.write_text(SPACE + text)
    config = Config({"optim": {"lr": 1}, "train_cfg": {"max_epochs": 3}})
    return read_space(path, config=config, task=TASKS["detection"])


def task_of(space, *, workers: int, gpus: float = 0.0) -> TrialTask:
    cluster = ClusterSpec(workers=(1, workers) if workers > 1 else (1, 1))
    return TrialTask(shipped={}, space=space, cluster=cluster, gpus=gpus, kept={}, attempt="a")


def test_places_in_lists_and_numbers_are_drawn(tmp_path):
    drawn = sweep_tune.domains(space_of(tmp_path))
    assert (drawn["optim.lr"].lower, drawn["optim.lr"].upper) == (1e-4, 1e-2)
    assert drawn["time_steps"].categories == [0, 1, 2]


def test_a_grid_lists_all_places(tmp_path):
    path = tmp_path / "space.py"
    path.write_text(
        "space = {'time_steps': dict(type='choice', values=[1, 4])}\nsearch = dict(type='grid')"
    )
    space = read_space(path, config=Config(), task=TASKS["detection"])
    assert sweep_tune.domains(space) == {"time_steps": {"grid_search": [0, 1]}}


def test_optuna_looks_for_all_objectives_and_draws_from_the_space(tmp_path):
    space = space_of(tmp_path, "search = dict(type='optuna', seed=3)")
    limited = sweep_tune.searcher(space, at_once=2)
    assert limited.max_concurrent == 2
    found = limited.searcher
    assert found.metric == ["coco/bbox_mAP", "energy_pj"]
    assert found.mode == ["max", "min"]
    assert found.set_search_properties(None, None, sweep_tune.domains(space))
    drawn = found.suggest("a")
    assert space.options(drawn)["time_steps"] in (1, 2, 4)
    found.on_trial_complete("a", {"coco/bbox_mAP": 0.5, "energy_pj": 1.0, "training_iteration": 1})
    assert found._ot_study.best_trials[0].values == [0.5, 1.0]


def test_the_rules_judge_by_the_first_objective(tmp_path):
    settings = {"clock": "epoch", "length": 3, "interval": 2}
    asha = sweep_tune.scheduler(space_of(tmp_path), **settings)
    assert (asha.metric, asha._mode, asha._max_t) == ("coco/bbox_mAP", "max", 9)
    assert [milestone for milestone, _ in asha._brackets[0]._rungs] == [6, 2]
    median = sweep_tune.scheduler(space_of(tmp_path, "scheduler = dict(type='median')"), **settings)
    assert (median._metric, median._grace_period) == ("coco/bbox_mAP", 2)
    assert sweep_tune.scheduler(space_of(tmp_path, "scheduler = None"), **settings) is None


def test_as_many_trials_as_fit_but_no_more_than_asked_for(tmp_path):
    ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 16.0, "GPU": 4.0})
    assert sweep_tune.concurrent(ray, task_of(space_of(tmp_path), workers=1)) == 16
    assert sweep_tune.concurrent(ray, task_of(space_of(tmp_path), workers=3)) == 5
    assert sweep_tune.concurrent(ray, task_of(space_of(tmp_path), workers=2, gpus=0.5)) == 4
    few = space_of(tmp_path, "search = dict(concurrent=2)")
    assert sweep_tune.concurrent(ray, task_of(few, workers=1)) == 2
    assert sweep_tune.concurrent(ray, task_of(few, workers=100)) == 1


def test_a_trial_with_workers_takes_no_cpu_itself(tmp_path):
    space = space_of(tmp_path)
    assert task_of(space, workers=1).bundle() == {"CPU": 1}
    assert task_of(space, workers=1, gpus=0.5).bundle() == {"CPU": 1, "GPU": 0.5}
    assert task_of(space, workers=2).bundle().keys() == {HEAD}


def test_a_ray_without_its_state_api_is_refused(monkeypatch):
    def silent(**_):
        raise ConnectionError("no server")

    monkeypatch.setattr("ray.util.state.list_actors", silent)
    ray = SimpleNamespace(get_runtime_context=lambda: SimpleNamespace(gcs_address="127.0.0.1:1"))
    with pytest.raises(
        ValueError,
        match="does not answer .no server.*with its dashboard, or sweep with --workers 1",
    ):
        sweep_tune.check_state_api(ray)
