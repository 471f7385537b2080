"""The measurement of a conversion, with a model whose answers are chosen."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny_conversion import write_config
from torch import nn

from spikevision.jobs.config import load_config
from spikevision.jobs.conversion_measure import measure
from spikevision.jobs.conversion_plan import plan_of
from spikevision.tasks import TASKS


class Answers(nn.Module):
    """Right as the ANN; class 0 for all images without spikes; class 1 for all after any number of steps."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def ann(self, inputs, data_samples):
        self.seen += [sample.img_path for sample in data_samples]
        return labelled(data_samples, [int(sample.gt_label) for sample in data_samples])

    def without_spikes(self, inputs, data_samples):
        return labelled(data_samples, [0] * len(inputs))

    def run(self, batch, time_steps, *, at):
        samples = batch["data_samples"]
        return {t: labelled(samples, [1] * len(samples)) for t in at}


def labelled(samples, labels):
    return [
        sample.clone().set_pred_score(torch.eye(2)[label]).set_pred_label(label)
        for sample, label in zip(samples, labels, strict=True)
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Four test images of class 0, then four of class 1."""
    return load_config(write_config(tmp_path_factory.mktemp("measure")))


def measured(config, model, task="classification", **asked):
    asked = {"time_steps": 2, "layer_images": 0, "batch_size": 3, **asked}
    plan = plan_of(Config({"conversion": asked}))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return measure(model, config, plan, TASKS[task], count_all=False)


def test_every_stage_has_metrics_of_all_images_and_its_agreement(config):
    model = Answers()
    found = measured(config, model)
    assert (found.images, len(set(model.seen))) == (8, 8)
    rows = [
        (s.name, s.time_steps, s.metrics["accuracy/top1"], s.agreement_percent)
        for s in found.stages
    ]
    assert rows == [
        ("ANN", None, 100, 100),
        ("no spikes", None, 50, 50),
        ("T = 1", 1, 50, 50),
        ("T = 2", 2, 50, 50),
    ]
    assert (found.layers, found.record) == ({}, None)


def test_fewer_images_are_spread_over_the_test_data(config):
    model = Answers()
    assert measured(config, model, report_images=4).images == 4
    assert [path.split("test/")[1] for path in model.seen] == [
        "left/0.png",
        "left/2.png",
        "right/0.png",
        "right/2.png",
    ]


def test_nothing_is_measured_where_that_is_asked_for_or_there_is_no_test_data(config):
    assert measured(config, Answers(), report_images=0).stages == []
    untested = Config({**config.to_dict(), "test_dataloader": None})
    assert measured(untested, Answers()).stages == []


def test_detectors_are_measured_on_all_images_or_none(config):
    with pytest.raises(
        ValueError, match="report_images=4: COCO metrics are of the whole annotation"
    ):
        measured(config, Answers(), task="detection", report_images=4)
