"""Data that is not as it should be, on shrunk detectors: right training, or an error that names the file."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.registry import DATASETS
from tiny_detectors import CONFIGS, batch, build, losses_of, runner_config, shrunk, total

from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train


def finite(model):
    return all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_images_without_any_object_train_with_finite_losses(name):
    model = build(shrunk(name, time_steps=1)).train()
    data = batch(images=2)
    data["data_samples"][0].gt_instances = data["data_samples"][0].gt_instances[:0]
    both = [losses_of(model, data)]
    data["data_samples"][1].gt_instances = data["data_samples"][1].gt_instances[:0]
    both.append(losses_of(model, data))
    for losses in both:
        assert total(losses).isfinite()
        model.zero_grad()
        total(losses).backward()
        assert finite(model)
    boxes = next(value for key, value in both[1].items() if "bbox" in key)
    assert sum(boxes) == 0 if isinstance(boxes, list) else boxes == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_images_smaller_than_the_largest_stride_are_padded_and_answered_in_their_own_pixels(name):
    model = build(shrunk(name, time_steps=1))
    data = batch(images=2, side=64)
    data["inputs"] = [image[:, :9, :7] for image in data["inputs"]]
    for sample in data["data_samples"]:
        sample.set_metainfo(dict(img_shape=(9, 7), ori_shape=(9, 7)))
        sample.gt_instances = sample.gt_instances[:0]
    assert total(losses_of(model.train(), data)).isfinite()
    for result in model.eval().test_step(data):
        boxes = result.pred_instances.bboxes
        assert (boxes[:, 0::2] <= 7).all()
        assert (boxes[:, 1::2] <= 9).all()


@pytest.fixture
def config(tmp_path):
    return runner_config(tmp_path, "retinanet")


def edit(root, **changes):
    path = root / "data" / "coco.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def spec(config, tmp_path, **kwargs):
    config.pop("work_dir", None)
    config.dump(tmp_path / "tiny.py")
    return RunSpec(config=str(tmp_path / "tiny.py"), work_dir=str(tmp_path / "runs"), **kwargs)


def test_a_validation_set_without_objects_gives_metrics_that_say_so(config, tmp_path):
    config.model.test_cfg.score_thr = 0.0  # without a single detection COCO gives no metric at all
    torch.save(build(config).state_dict(), tmp_path / "tiny.pth")
    edit(tmp_path, annotations=[])
    result = evaluate(spec(config, tmp_path, checkpoint=str(tmp_path / "tiny.pth")))
    assert result.metrics["coco/bbox_mAP"] == -1  # COCO's way to say that there is nothing to find


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text(path.read_text()[:-30]), "no whole JSON file .*cut off"),
        (lambda path: edit(path.parents[1], images=[]), "lists no image"),
        (lambda path: edit(path.parents[1], annotations=[]), "no object to train on"),
    ],
)
def test_a_broken_annotation_file_stops_before_a_run_folder_is_made(
    config, tmp_path, damage, message
):
    damage(tmp_path / "data" / "coco.json")
    with pytest.raises(ValueError, match=rf"coco\.json.*{message}"):
        train(spec(config, tmp_path))
    assert not (tmp_path / "runs").exists()


def dataset_with(config, loader):
    dataset = config.train_dataloader.dataset
    dataset.pipeline[0] = loader
    with DefaultScope.overwrite_default_scope("mmdet"):
        return DATASETS.build(dataset)


@pytest.fixture
def corrupt(tmp_path, config):
    path = tmp_path / "data" / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:30])
    return path


@pytest.mark.parametrize(
    ("loader", "error"),
    [("LoadImageFromFile", AssertionError), ("spikevision.SafeLoadImage", ValueError)],
)
def test_a_corrupt_image_among_many_is_named(config, corrupt, loader, error):
    dataset = dataset_with(config, dict(type=loader))
    with pytest.raises(error, match=r"images/1\.png"):
        dataset[1]
    assert dataset[0]["inputs"].shape[0] == 3


def test_a_corrupt_image_among_many_can_be_left_out_of_training(config, corrupt):
    dataset = dataset_with(config, dict(type="spikevision.SafeLoadImage", on_error="skip"))
    other = dataset[1]["data_samples"].img_path
    assert Path(other).name in {"0.png", "2.png", "3.png"}


def test_an_image_whose_size_is_not_that_of_its_annotations_still_trains(config, tmp_path):
    Image.new("RGB", (40, 50)).save(tmp_path / "data" / "images" / "0.png")
    dataset = dataset_with(config, dict(type="LoadImageFromFile"))
    assert dataset[0]["inputs"].shape[0] == 3
