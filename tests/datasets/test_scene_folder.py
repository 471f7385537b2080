import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from spikevision.datasets.scene_folder import Instance, Scene, prepare_folder, write_part

CATEGORIES = ("cat", "dog")
CLASSES = ("ground", "cat", "dog")


def scene(name="a"):
    """4 x 6 pixels: a cat of 2 x 3 at row 1, column 2, and a dog of two separate pixels."""
    cat, dog = np.zeros((2, 4, 6), dtype=bool)
    cat[1:3, 2:5] = True
    dog[0, 0] = dog[3, 5] = True
    semantic = np.zeros((4, 6), dtype=int)
    semantic[cat], semantic[dog] = 1, 2
    image = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    return Scene(name, image, semantic, [Instance(0, cat), Instance(1, dog)])


def empty_scene(name):
    return Scene(name, np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), int), [])


@pytest.fixture
def coco(tmp_path):
    write_part(
        tmp_path,
        "training",
        [scene("a"), empty_scene("b"), scene("c")],
        categories=CATEGORIES,
        classes=CLASSES,
    )
    return COCO(tmp_path / "annotations" / "instances_training.json")


def test_coco_file_holds_the_objects_with_exact_boxes_areas_and_masks(coco):
    cat, dog = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert (cat["category_id"], cat["bbox"], cat["area"], cat["iscrowd"]) == (1, [2, 1, 3, 2], 6, 0)
    assert (dog["category_id"], dog["bbox"], dog["area"]) == (2, [0, 0, 6, 4], 2)
    for written, instance in zip((cat, dog), scene().instances, strict=True):
        assert np.array_equal(coco.annToMask(written), instance.mask)
    assert [c["name"] for c in coco.loadCats([1, 2])] == ["cat", "dog"]


def test_ids_are_unique_and_an_image_without_objects_stays(coco):
    assert sorted(coco.anns) == [1, 2, 3, 4]
    assert [i["file_name"] for i in coco.imgs.values()] == ["a.png", "b.png", "c.png"]
    assert coco.getAnnIds(imgIds=2) == []
    assert (coco.imgs[1]["height"], coco.imgs[1]["width"]) == (4, 6)


def test_class_map_counts_from_one_as_in_ade20k_and_images_are_lossless(coco, tmp_path):
    written = np.array(Image.open(tmp_path / "annotations" / "training" / "a.png"))
    assert np.array_equal(written, scene().semantic + 1)
    image = np.array(Image.open(tmp_path / "images" / "training" / "a.png"))
    assert np.array_equal(image, scene().image)


def test_stock_mmdet_and_mmseg_datasets_read_the_folder(coco, tmp_path):
    import spikevision  # noqa: F401  (answers mmcv's operators)

    mmdet = pytest.importorskip("mmdet.datasets")
    mmseg = pytest.importorskip("mmseg.datasets")
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmdet"):
        objects = mmdet.CocoDataset(
            data_root=str(tmp_path),
            ann_file="annotations/instances_training.json",
            data_prefix=dict(img="images/training/"),
            metainfo=dict(classes=CATEGORIES),
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
            ],
        )
        loaded = objects[0]
    assert len(objects) == 3
    assert np.array_equal(loaded["gt_masks"].masks[0], scene().instances[0].mask)
    assert loaded["gt_bboxes_labels"].tolist() == [0, 1]
    with DefaultScope.overwrite_default_scope("mmseg"):
        classes = mmseg.BaseSegDataset(
            data_root=str(tmp_path),
            img_suffix=".png",
            reduce_zero_label=True,
            metainfo=dict(classes=CLASSES),
            data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
            pipeline=[dict(type="LoadAnnotations", reduce_zero_label=True)],
        )
        assert np.array_equal(classes[0]["gt_seg_map"], scene().semantic)


def test_a_folder_is_made_once_and_anew_when_its_manifest_changes(tmp_path):
    made = []

    def write(folder):
        made.append(folder)
        (folder / f"file{len(made)}").touch()

    folder = tmp_path / "root" / "set"
    for manifest in ({"seed": 0}, {"seed": 0}, {"seed": 1}):
        assert prepare_folder(folder, manifest, write) == folder
    assert len(made) == 2
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "file2"]
    assert json.loads((folder / "dataset.json").read_text()) == {"seed": 1}


def test_an_interrupted_preparation_is_not_taken_for_finished(tmp_path):
    def interrupted(folder):
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_folder(tmp_path / "set", {}, interrupted)
    assert not (tmp_path / "set").exists()
    folder = prepare_folder(tmp_path / "set", {}, lambda folder: (folder / "whole").touch())
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "whole"]


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="was not made by this command"):
        prepare_folder(tmp_path / "set", {}, lambda folder: None)
    assert (tmp_path / "set" / "thesis.txt").exists()
