from pathlib import Path

import pytest
from mmengine.config import Config

from spikevision.cluster.sweep_space import read_space
from spikevision.jobs.config import load_config, task_of
from spikevision.tasks import TASKS

ROOT = Path(__file__).parents[2]
QUICK = {
    "classification": "meta-spikeformer-tiny_t4_1xb32-15e_mnist-5k.py",
    "detection": "mask-rcnn_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py",
    "segmentation": "semantic-fpn_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py",
}
SHIPPED = sorted((ROOT / "configs" / "sweeps").glob("*.py"))
CONFIG = Config(
    {
        "model": {
            "backbone": {"neuron": {"v_threshold": 1.0}, "time_steps": 4},
            "head": {"neuron": {"v_threshold": 1.0}},
            "teacher": {"neuron": {"v_threshold": 1.0}},
        },
        "optim": {"lr": 0.1, "betas": [0.9, 0.999]},
        "train_cfg": {"max_epochs": 3},
    }
)


@pytest.fixture
def read(tmp_path):
    """Read a space that is given as text, against CONFIG."""

    def reading(text: str, task: str = "classification"):
        path = tmp_path / "space.py"
        path.write_text(text)
        return read_space(path, config=CONFIG, task=TASKS[task])

    return reading


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_space_moves_fields_that_the_configs_of_its_task_have(path):
    config = load_config(ROOT / "configs" / "quick" / QUICK[path.stem.partition("_")[2]])
    task = task_of(config)
    space = read_space(path, config=config, task=task)
    assert space.objectives == {task.metric: "max", "energy_pj": "min"}
    drawn = {
        name: 0 if "values" in each.settings else each.settings["low"]
        for name, each in space.parameters.items()
    }
    options = space.options(drawn)
    if "threshold" in path.stem:
        thresholds = [field for field in options if field.endswith("neuron.v_threshold")]
        assert (
            len(thresholds) == {"classification": 2, "detection": 5, "segmentation": 3}[task.name]
        )
    moved = load_config(config.filename, options=options)
    assert {str(moved.get(field, _at(moved, field))) for field in options} == {
        str(value) for value in options.values()
    }


def _at(config: Config, field: str):
    node = config
    for name in field.split("."):
        node = node[name]
    return node


def test_every_task_has_both_spaces():
    assert {path.stem for path in SHIPPED} == {
        f"{kind}_{task}" for kind in ("steps-threshold-surrogate", "lr-decay") for task in TASKS
    }


def test_linked_fields_and_patterns_move_together_but_not_in_a_teacher(read):
    space = read(
        "space = {'model.*v_threshold': dict(type='uniform', low=0.5, high=1.0),"
        " 'optim.lr & optim.betas.0': dict(type='choice', values=[0.5, 0.7])}"
    )
    assert space.options({"model.*v_threshold": 0.6, "optim.lr & optim.betas.0": 1}) == {
        "model.backbone.neuron.v_threshold": 0.6,
        "model.head.neuron.v_threshold": 0.6,
        "optim.lr": 0.7,
        "optim.betas.0": 0.7,
    }


def test_listed_values_may_be_of_any_type(read):
    space = read("space = {'optim': dict(type='choice', values=[dict(lr=1), None])}")
    assert space.values({"optim": 0}) == {"optim": {"lr": 1}}
    assert space.values({"optim": 1}) == {"optim": None}


def test_the_number_of_trials(read):
    lists = "space = {'optim.lr': dict(type='%s', values=[1, 2, 3]), 'time_steps': dict(type='grid', values=[1, 2])}\n"
    assert read(lists % "choice" + "search = dict(type='grid')").trials == 6
    assert read(lists % "choice" + "search = dict(trials=5)").trials == 10
    assert read(lists % "grid" + "search = dict(trials=5)").trials == 30


def test_defaults(read):
    space = read("space = {'optim.lr': dict(type='loguniform', low=1e-4, high=1)}", "detection")
    assert space.objectives == {"coco/bbox_mAP": "max", "energy_pj": "min"}
    assert dict(space.search) == {"type": "random", "trials": 12, "seed": 0, "concurrent": None}
    assert dict(space.scheduler) == {"type": "asha", "grace": None, "factor": 3}
    assert (
        read("space = {'optim': dict(type='choice', values=[1])}\nscheduler = None").scheduler
        is None
    )


LR = "space = {'optim.lr': dict(type='choice', values=[1, 2])}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("space = {'optim.rl': dict(type='choice', values=[1])}", "no field 'optim.rl'; nearest are 'optim.lr'"),
        ("space = {'model.*.v_treshold': dict(type='choice', values=[1])}", "nearest are 'model.*v_threshold'"),
        ("space = {'optim.lr': [1, 2]}", "expected dict.type=...."),
        ("space = {'optim.lr': dict(type='normal', mean=1)}", "one of choice, grid, uniform"),
        ("space = {'optim.lr': dict(type='uniform', low=1)}", "uniform takes low, high; got low"),
        ("space = {'optim.lr': dict(type='uniform', low=1, high=1)}", "expected low < high"),
        ("space = {'optim.lr': dict(type='loguniform', low=0, high=1)}", "expected 0 < low < high"),
        ("space = {'optim.lr': dict(type='choice', values=[])}", "a list of at least one value"),
        ("spaces = {}", "found spaces"),
        (LR + "searcher = 1", "found searcher, space"),
        (LR + "search = dict(type='bayes')", "known are 'random', 'grid', 'optuna'"),
        (LR + "search = dict(samples=3)", "takes concurrent, seed, trials; unknown: samples"),
        (LR + "search = dict(trials=0)", "trials is 0, expected 1 or more"),
        (LR + "scheduler = dict(type='pbt')", "known are 'asha', 'median'"),
        (LR + "scheduler = dict(type='asha', factor=1)", "factor is 1, expected 2 or more"),
        (LR + "objectives = {'coco/bbox_mAP': 'max'}", "classification has no metric 'coco/bbox_mAP'; known are accuracy/"),
        (LR + "objectives = {'accuracy/top1': 'more'}", "expected 'max' or 'min'"),
        (LR + "objectives = {}", "at least one"),
        (
            "space = {'optim.lr': dict(type='choice', values=[1]), 'optim.*': dict(type='choice', values=[1])}",
            "both 'optim.lr' and 'optim.*' move 'optim.lr'",
        ),
        (
            "space = {'optim.lr': dict(type='uniform', low=1, high=2)}\nsearch = dict(type='grid')",
            "search 'grid' and space 'optim.lr' .uniform.: list its values",
        ),
        (
            "space = {'optim.lr': dict(type='grid', values=[1])}\nsearch = dict(type='optuna')",
            "search 'optuna' and space 'optim.lr' .grid.: make it a choice",
        ),
        ("space = {", "cannot read space"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(read, text, message):
    with pytest.raises(ValueError, match=message.replace("*", ".*")):
        read(text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*no\.py' does not exist"):
        read_space(tmp_path / "no.py", config=CONFIG, task=TASKS["detection"])
