"""A segmentor converts by the job; what comes out tests and infers like any other model."""

import json

import pytest

pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from model_kinds import MASK_HEAD, SEG_VIT
from tiny_segmentors import CLASSES, PALETTE, runner_config, write_ade_folder

from spikevision.jobs.convert import convert
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.spec import RunSpec

SEGMENTER = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3),
    backbone=dict(SEG_VIT, final_norm=True),
    decode_head=dict(MASK_HEAD, num_classes=CLASSES),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a conversion; the data are in ``data`` beside it."""
    folder = tmp_path_factory.mktemp("segmenter")
    write_ade_folder(folder / "data")
    config = runner_config(folder / "data", folder / "work")
    config.model = SEGMENTER
    config.conversion = dict(preset="ecmt", time_steps=2, calibration_images=2, layer_images=0)
    config.pop("work_dir")
    config.dump(folder / "tiny.py")
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(config.model)
    meta = dict(dataset_meta=dict(classes=tuple("abcde"), palette=PALETTE))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / "tiny.pth")
    files = dict(config=str(folder / "tiny.py"), checkpoint=str(folder / "tiny.pth"))
    return convert(RunSpec(**files, output=str(folder / "out"))).run_dir


def spec(out, **words):
    return RunSpec(
        config=str(out / "config.py"), checkpoint=str(out / "model.safetensors"), **words
    )


def test_the_artefact_answers_as_the_report_says(out, tmp_path):
    report = json.loads((out / "conversion.json").read_text())["measurements"]["stages"][-1]
    assert report["stage"] == "T = 2"
    found = evaluate(spec(out, work_dir=str(tmp_path))).metrics
    assert found["mIoU"] == report["metrics"]["mIoU"] > 0


def test_the_artefact_draws_class_maps(out, tmp_path):
    pictures = out.parent / "data/images/validation"
    infer(spec(out, inputs=str(pictures), output=str(tmp_path / "found")))
    assert len(list((tmp_path / "found/class_maps").iterdir())) == 2
