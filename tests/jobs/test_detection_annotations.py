import json
from collections import Counter

import pytest
from mmengine.config import Config

from spikevision.jobs.config import check_data
from spikevision.jobs.detection_annotations import check_annotations, check_detection_data

SQUARE = [[2, 2, 8, 2, 8, 8, 2, 8]]


def annotation(**changes):
    whole = {
        "id": 7,
        "image_id": 1,
        "category_id": 1,
        "bbox": [2, 2, 6, 6],
        "area": 36,
        "iscrowd": 0,
        "segmentation": SQUARE,
    }
    kept = {**whole, **changes}
    return {key: value for key, value in kept.items() if value is not ...}


@pytest.fixture
def coco(tmp_path):
    """Write a file of one 10x20 image (height, width), two categories and the given annotations."""

    def write(*annotations, **changes):
        content = {
            "images": [{"id": 1, "file_name": "1.png", "height": 10, "width": 20}],
            "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}],
            "annotations": annotations,
        }
        path = tmp_path / "coco.json"
        path.write_text(json.dumps({**content, **changes}))
        return path

    return write


def check(path, classes=("cell", "nucleus"), with_mask=True):
    return check_annotations(path, classes=classes, with_mask=with_mask)


def test_a_right_file_passes_and_an_image_may_be_without_objects(coco):
    assert check(coco(annotation())) == (1, Counter())
    assert check(coco()) == (0, Counter())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"category_id": 3}, "of a category that the file does not list"),
        ({"bbox": [1, 2, 3]}, "without a bbox of four finite numbers"),
        ({"bbox": [0, 0, float("nan"), 5]}, "without a bbox of four finite numbers"),
        ({"area": ...}, "without an area"),
        ({"segmentation": ...}, r"without a mask \(segmentation\)"),
        ({"segmentation": []}, r"without a mask \(segmentation\)"),
        ({"segmentation": {"size": [20, 10], "counts": "x"}}, "with a mask of another size"),
        ({"segmentation": "1 2 3"}, "with a mask that is neither polygons nor RLE"),
    ],
)
def test_a_fault_names_file_kind_and_annotation(coco, changes, fault):
    path = coco(annotation(), annotation(id=8, **changes))
    with pytest.raises(ValueError, match=rf"coco\.json: 1 annotations {fault}.*\(id 8\).* Repair"):
        check(path)


def test_masks_do_not_matter_to_a_model_without(coco):
    assert check(coco(annotation(segmentation=...)), with_mask=False) == (1, Counter())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bbox": [30, 2, 6, 6]}, "outside of their image or smaller than a pixel"),
        ({"bbox": [2, 2, 0, 6]}, "outside of their image or smaller than a pixel"),
        ({"bbox": [2, 2, -4, 6]}, "outside of their image or smaller than a pixel"),
        ({"area": 0}, "outside of their image or smaller than a pixel"),
        ({"image_id": 5}, "of images that the file does not list"),
        ({"iscrowd": 1}, "of crowds"),
        ({"ignore": True}, "marked to be ignored"),
        ({"segmentation": [[1, 2, 3, 4]]}, "with polygons of fewer than three points"),
    ],
)
def test_what_mmdet_leaves_out_is_counted(coco, changes, reason):
    assert check(coco(annotation(), annotation(id=8, **changes))) == (1, Counter({reason: 1}))


def test_what_is_counted_is_what_mmdet_leaves_out(coco):
    pytest.importorskip("mmdet.datasets", reason="mmdet is not installed")
    from mmdet.datasets import CocoDataset

    path = coco(
        annotation(id=1),
        annotation(id=2, bbox=[30, 2, 6, 6]),
        annotation(id=3, bbox=[15, 2, 30, 6]),  # partly outside: stays
        annotation(id=4, ignore=True),
        annotation(id=5, category_id=2),
        annotation(id=6, bbox=[2, 2, 0.5, 6]),
    )
    dataset = CocoDataset(
        ann_file=str(path),
        data_prefix=dict(img=""),
        metainfo=dict(classes=("cell",)),
        pipeline=[],
    )
    used, left_out = check(path, classes=("cell",))
    assert left_out == {
        "outside of their image or smaller than a pixel": 2,
        "marked to be ignored": 1,
        "of other classes": 1,
    }
    assert len(dataset.get_data_info(0)["instances"]) == used == 2


def test_many_faults_are_cut_short(coco):
    path = coco(*(annotation(id=index, category_id=9) for index in range(30)))
    with pytest.raises(ValueError, match=r"30 annotations .*\(id 0, 1, 2, 3, 4 and 25 more\)"):
        check(path)


def test_a_file_that_is_cut_off_is_named(coco):
    path = coco(annotation())
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match=r"coco\.json is no whole JSON file .*cut off"):
        check(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "lists no image"),
        ({"images": [{"id": 3, "file_name": "a.png"}]}, "images 3 lack one of"),
    ],
)
def test_a_file_without_usable_images_is_an_error(coco, changes, message):
    with pytest.raises(ValueError, match=message):
        check(coco(**changes))


def test_json_that_is_no_coco_file_says_what_is_missing(tmp_path):
    (tmp_path / "coco.json").write_text("[]")
    with pytest.raises(ValueError, match=r"no COCO .* no \['categories', 'images'\]"):
        check(tmp_path / "coco.json")


def test_a_class_that_is_no_category_of_the_file_would_shift_labels(coco):
    with pytest.raises(ValueError, match=r"no category 'dog' \(it has 'cell', 'nucleus'"):
        check(coco(), classes=("dog", "cell"))


def test_heads_of_another_number_of_classes_are_an_error(coco):
    dataset = {"ann_file": str(coco())}
    model = {"roi_head": {"bbox_head": [{"num_classes": 2}, {"num_classes": 80}]}}
    with pytest.raises(ValueError, match=r"model\.roi_head\.bbox_head\.num_classes is 80.* 2 cla"):
        check_detection_data(dataset, classes=("cell", "nucleus"), model=model)


def test_without_any_object_there_is_nothing_to_train_on_but_something_to_evaluate(coco):
    dataset = {"ann_file": str(coco(annotation(iscrowd=1)))}
    classes = ("cell", "nucleus")
    with pytest.raises(ValueError, match=r"no object to train on \(left out: 1 of crowds\)"):
        check_detection_data(dataset, classes=classes, model={})
    check_detection_data({**dataset, "test_mode": True}, classes=classes, model={})


def test_the_data_of_a_config_are_checked_before_a_job(coco):
    pytest.importorskip("mmdet.datasets", reason="mmdet is not installed")
    path = coco(annotation(category_id=9))
    dataset = dict(
        type="CocoDataset",
        ann_file=str(path),
        metainfo=dict(classes=("cell", "nucleus")),
        pipeline=[],
    )
    loader = dict(dataset=dict(type="RepeatDataset", times=2, dataset=dataset))
    config = Config(dict(default_scope="mmdet", train_dataloader=loader))
    with pytest.raises(ValueError, match=r"coco\.json: 1 annotations of a category"):
        check_data(config, loaders=("train_dataloader",))
