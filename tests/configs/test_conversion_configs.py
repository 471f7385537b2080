"""Configs that convert: what their names say, and that a conversion could start from them."""

import re
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

pytest.importorskip("mmpretrain.models", reason="mmpretrain is not installed")

from spikevision.jobs.config import load_config
from spikevision.jobs.conversion_plan import check_is_ann, converted_config, plan_of
from spikevision.jobs.runtime import build_model

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "conversion").glob("*-t[0-9]*_*.py"))
NAME = re.compile(r"[a-z0-9-]+_(?P<preset>sta|sta\+|ecmt|exact)-t(?P<time_steps>\d+)_[a-z0-9-]+")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_name_says_preset_and_time_steps_and_the_ann_builds(path):
    config = load_config(path)
    plan, name = plan_of(config), NAME.fullmatch(path.stem)
    assert (name["preset"], int(name["time_steps"])) == (plan.settings.preset, plan.settings.time_steps)
    check_is_ann(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        build_model(config)  # on the CPU: Swin's constructor reads values
    assert config.train_dataloader.dataset
    assert config.test_dataloader.dataset.pipeline


def test_the_converted_config_holds_the_ann_and_nothing_of_its_training():
    config = load_config(CONFIGS[0])
    converted = converted_config(config, plan_of(config))
    assert converted.model.type == "spikevision.ConvertedModel"
    assert converted.model.model == config.model
    assert converted.test_dataloader == config.test_dataloader
    gone = {"train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "conversion"}
    assert not gone & set(converted)
    assert "train_dataloader" in config
