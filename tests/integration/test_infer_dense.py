"""The infer job on tiny detectors and segmenters: what it writes is what the test job counts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.spec import RunSpec


def run(files, inputs, output, **kwargs):
    config, checkpoint = files
    spec = RunSpec(
        config=config, checkpoint=checkpoint, inputs=str(inputs), output=str(output), **kwargs
    )
    return infer(spec)


def read(path):
    return json.loads(Path(path).read_text())


@pytest.fixture(scope="module")
def detections(tiny_detector, tmp_path_factory):
    pytest.importorskip("mmdet.models", reason="mmdet is not installed")
    output = tmp_path_factory.mktemp("detections")
    run(tiny_detector, Path(tiny_detector[0]).parent / "data" / "images", output)
    return output


@pytest.fixture(scope="module")
def class_maps(tiny_segmentor, tmp_path_factory):
    pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
    output = tmp_path_factory.mktemp("class_maps")
    run(tiny_segmentor, Path(tiny_segmentor[0]).parent / "data" / "images" / "validation", output)
    return output


def test_detections_are_those_that_the_test_job_hands_to_coco(tiny_detector, detections, tmp_path):
    config, checkpoint = tiny_detector
    options = {"test_evaluator.outfile_prefix": str(tmp_path / "coco")}
    evaluate(
        RunSpec(config=config, checkpoint=checkpoint, work_dir=str(tmp_path), cfg_options=options)
    )
    found = read(detections / "coco_results.json")
    expected = read(tmp_path / "coco.segm.json")
    assert len(found) > 4
    assert [set(entry) for entry in found] == [
        {"image_id", "category_id", "bbox", "score", "segmentation"}
    ] * len(found)
    for entry in expected:
        entry.pop("bbox", None)
    boxes = read(tmp_path / "coco.bbox.json")
    assert [{**box, **mask} for box, mask in zip(boxes, expected, strict=True)] == found


def test_coco_reads_the_results(tiny_detector, detections):
    from pycocotools.coco import COCO

    truth = COCO(str(Path(tiny_detector[0]).parent / "data" / "coco.json"))
    loaded = truth.loadRes(str(detections / "coco_results.json"))
    assert set(loaded.getImgIds()) == set(truth.getImgIds())
    images = read(detections / "coco_images.json")
    assert {image["file_name"]: image["id"] for image in images["images"]} == {
        f"{index}.png": index for index in range(4)
    }


def test_detections_are_drawn_from_the_threshold_on(tiny_detector, detections, tmp_path):
    images = Path(tiny_detector[0]).parent / "data" / "images"
    run(tiny_detector, images / "0.png", tmp_path, score_threshold=1.0)
    empty = np.array(Image.open(tmp_path / "pictures" / "0.png"))
    original = np.array(Image.open(images / "0.png").convert("RGB"))
    assert np.array_equal(empty, np.kron(original, np.ones((5, 5, 1), np.uint8)))  # enlarged
    run(tiny_detector, images / "0.png", tmp_path, score_threshold=0.0)
    drawn = np.array(Image.open(tmp_path / "pictures" / "0.png"))
    assert not np.array_equal(drawn, empty)


def test_class_maps_are_those_that_the_test_job_counts(tiny_segmentor, class_maps, tmp_path):
    config, checkpoint = tiny_segmentor
    options = {"test_evaluator.output_dir": str(tmp_path / "maps")}
    spec = RunSpec(
        config=config, checkpoint=checkpoint, work_dir=str(tmp_path), cfg_options=options
    )
    evaluate(spec)
    for entry in read(class_maps / "predictions.json")["predictions"]:
        found = Image.open(class_maps / entry["class_map"])
        assert found.mode == "P"
        # mmseg writes maps in ADE20K's form, where 1 is the first class
        expected = np.array(Image.open(tmp_path / "maps" / Path(entry["image"]).name)) - 1
        assert np.array_equal(np.array(found), expected)
        assert len(np.unique(found)) == len(entry["shares"]) > 1
        assert sum(entry["shares"].values()) == pytest.approx(1, abs=1e-5)


def test_class_maps_show_the_colours_of_the_classes(class_maps):
    from tiny_segmentors import PALETTE

    found = Image.open(class_maps / "class_maps" / "0.png")
    indices = np.array(found)
    assert np.array_equal(np.array(found.convert("RGB")), np.array(PALETTE, np.uint8)[indices])


def write_video(path, frames=5, side=64):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (side, side))
    generator = np.random.default_rng(0)
    for _ in range(frames):
        writer.write(generator.integers(0, 255, (side, side, 3), dtype=np.uint8))
    writer.release()


@pytest.mark.parametrize("task", ["detector", "segmentor"])
def test_a_video_gives_a_video_and_one_prediction_per_frame(task, request, tmp_path):
    write_video(tmp_path / "film.mp4")
    result = run(request.getfixturevalue(f"tiny_{task}"), tmp_path / "film.mp4", tmp_path / "out")
    assert result.status == "finished"
    found = read(tmp_path / "out" / "predictions.json")["predictions"]
    assert [entry["frame"] for entry in found] == [0, 1, 2, 3, 4]
    film = cv2.VideoCapture(str(tmp_path / "out" / "pictures" / "film.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == 10
    assert sum(film.read()[0] for _ in range(6)) == 5


def test_a_picture_that_does_not_fit_the_model_is_left_out_and_the_others_are_kept(
    tiny_detector, tmp_path
):
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "good.png")
    (folder / "half.png").write_bytes((folder / "good.png").read_bytes()[:40])
    (folder / "text.jpg").write_text("no picture")
    result = run(tiny_detector, folder, tmp_path / "out")
    assert result.status == "incomplete"
    assert {Path(name).name for name in result.failures} == {"half.png", "text.jpg"}
    kept = read(tmp_path / "out" / "predictions.json")
    assert [Path(entry["image"]).name for entry in kept["predictions"]] == ["good.png"]
    assert set(kept["failures"]) == set(result.failures)
    assert (tmp_path / "out" / "pictures" / "good.png").is_file()


def test_another_number_of_classes_than_the_model_has_is_an_error(tiny_detector, tmp_path):
    import torch

    config, checkpoint = tiny_detector
    saved = torch.load(checkpoint, weights_only=True)
    saved["meta"]["dataset_meta"]["classes"] = ("one", "two")
    torch.save(saved, tmp_path / "two.pth")
    with pytest.raises(ValueError, match=r"3 classes, its data 2 \(one, two"):
        run((config, str(tmp_path / "two.pth")), Path(config).parent / "data", tmp_path / "out")
