import pytest

from spikevision.tasks import TASKS, task_of_scope


def test_classification_is_judged_by_top1_in_percent():
    task = task_of_scope("mmpretrain")
    assert task is TASKS["classification"]
    assert task.with_units({"accuracy/top1": 97.5, "loss": 1.0}) == {
        "accuracy/top1": {"value": 97.5, "unit": "%"},
        "loss": {"value": 1.0, "unit": ""},
    }


def test_an_unknown_scope_lists_the_known_ones():
    with pytest.raises(ValueError, match="'mmpretrain' \\(classification\\)"):
        task_of_scope("mmunknown")


@pytest.mark.parametrize(
    ("scope", "metric", "unit"), [("mmdet", "coco/bbox_mAP", ""), ("mmseg", "mIoU", "%")]
)
def test_detection_and_segmentation_are_judged_by_their_usual_metric(scope, metric, unit):
    task = task_of_scope(scope)
    assert (task.metric, task.unit_of(metric)) == (metric, unit)
    assert task.greater_is_better


def test_headlines_are_percent_and_only_those_that_a_model_has():
    boxes_only = {"coco/bbox_mAP": 0.2, "coco/bbox_mAP_50": 0.5}
    assert TASKS["detection"].percent(boxes_only) == {"coco/bbox_mAP_50": 50.0}
    assert TASKS["segmentation"].percent({"mIoU": 61.5, "aAcc": 80.0}) == {"mIoU": 61.5}
