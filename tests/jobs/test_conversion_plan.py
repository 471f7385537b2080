"""What a config asks of a conversion, and which images calibrate it."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny_conversion import write_config

from spikevision.conversion import STAConfig
from spikevision.jobs.config import load_config
from spikevision.jobs.conversion_plan import (
    CalibrationImages,
    calibration_path,
    check_is_ann,
    converted_config,
    plan_of,
)


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        ({}, (1, 2, 4, 8, 16, 32)),
        ({"time_steps": 5}, (1, 2, 4, 5)),
        ({"time_steps": 8, "at": [8, 2, 8]}, (2, 8)),
    ],
)
def test_steps_of_the_report(asked, steps):
    assert plan_of(Config({"conversion": asked})).steps == steps
    assert plan_of(Config({})).settings == STAConfig()


def test_rules_change_some_of_the_settings_or_leave_a_module_alone():
    rules = {"head": None, "re:.*attn": {"preset": "sta+"}}
    plan = plan_of(Config({"conversion": {"time_steps": 8, "rules": rules}}))
    assert plan.rules == {"head": None, "re:.*attn": STAConfig(preset="sta+", time_steps=8)}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"presets": "sta"}, "conversion has no field 'presets'; it takes activation_units, at"),
        ({"at": [0, 4]}, r"conversion.at must lie in 1 \.\.\. 32 \(time_steps\), got \[0, 4\]"),
        ({"at": [33]}, r"got \[33\]"),
        (
            {"calibration_images": 0},
            "nothing to calibrate with: conversion.calibration_images is 0",
        ),
        ({"batch_size": 0}, "conversion.batch_size must be at least 1, got 0"),
    ],
)
def test_fields_that_cannot_be_meant_are_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        plan_of(Config({"conversion": asked}))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return load_config(write_config(tmp_path_factory.mktemp("plan")))


def images_of(config, **asked):
    plan = plan_of(Config({"conversion": asked}))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        images = CalibrationImages(config, plan)
    return images, images.about(config, plan)


def test_training_images_calibrate_as_test_images_are_prepared(config):
    images, about = images_of(config, calibration_images=10, batch_size=4)
    assert [len(batch["inputs"]) for batch in images] == [4, 4, 2]
    assert about.startswith("spikevision.SafeLoadImage > PackInputs, 10 images, ")
    paths = [sample.img_path for batch in images for sample in batch["data_samples"]]
    assert len(set(paths)) == 10
    assert all("train" in path for path in paths)
    rest = [sample.img_path for batch in images.after(4) for sample in batch["data_samples"]]
    assert rest == paths[4:]


def test_all_images_calibrate_where_there_are_fewer_than_wanted(config):
    assert images_of(config, calibration_images=100)[0].images == 20


def test_wrappers_of_a_data_set_are_looked_through(config):
    wrapped = Config(config.to_dict())
    wrapped.train_dataloader.dataset = {
        "type": "RepeatDataset",
        "times": 3,
        "dataset": {"type": "ConcatDataset", "datasets": [config.train_dataloader.dataset]},
    }
    assert (
        images_of(wrapped, calibration_images=12)[1] == images_of(config, calibration_images=12)[1]
    )


def test_a_calibration_is_known_by_what_changes_its_counts(config):
    known = images_of(config)[1]
    assert images_of(config, time_steps=4, activation_units=8)[1] == known
    assert images_of(config, preset="ecmt")[1] != known
    assert images_of(config, rules={"head": None})[1] != known
    other = Config(config.to_dict())
    other.model.data_preprocessor.std = [32.0]
    assert images_of(other)[1] != known


def test_a_config_without_training_or_test_data_is_refused(config):
    for name, message in (
        ("train_dataloader", "has no train_dataloader"),
        ("test_dataloader", "no test_dataloader"),
    ):
        changed = Config({**config.to_dict(), name: None, "val_dataloader": None})
        with pytest.raises(ValueError, match=message):
            images_of(changed)


def test_the_converted_config_drops_training_and_averaging_of_weights(config, tmp_path):
    given = Config(config.to_dict())
    given.custom_hooks = [{"type": "EMAHook"}, {"type": "SyncBuffersHook"}]
    converted = converted_config(given, plan_of(given))
    assert converted.custom_hooks == [{"type": "SyncBuffersHook"}]
    assert converted.model.time_steps == 4
    assert "train_dataloader" not in converted
    check_is_ann(given)
    with pytest.raises(ValueError, match="config of a converted model: convert the ANN"):
        check_is_ann(converted)
    assert calibration_path(tmp_path) == tmp_path / "calibration.safetensors"
