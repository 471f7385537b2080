"""The vision tasks that spikevision knows, one :class:`TaskSpec` each; jobs ask this table, never a name."""

from spikevision.tasks.spec import TaskSpec

__all__ = ["TASKS", "TaskSpec", "task_of_scope"]

TASKS = {
    task.name: task
    for task in (
        TaskSpec(
            name="classification",
            scope="mmpretrain",
            metric="accuracy/top1",
            headlines=("accuracy/top1",),
            units={"accuracy/": "%", "single-label/": "%", "time": "s", "data_time": "s"},
        ),
        TaskSpec(
            name="detection",
            scope="mmdet",
            metric="coco/bbox_mAP",  # a share, 0 to 1
            headlines=("coco/bbox_mAP_50", "coco/segm_mAP_50"),
            to_percent=100.0,
            units={"time": "s", "data_time": "s"},
        ),
        TaskSpec(
            name="segmentation",
            scope="mmseg",
            metric="mIoU",
            headlines=("mIoU",),
            units={"mIoU": "%", "mAcc": "%", "aAcc": "%", "time": "s", "data_time": "s"},
        ),
    )
}


def task_of_scope(scope: str | None) -> TaskSpec:
    """The task whose configs have this ``default_scope``.

    Raises:
        ValueError: No task has this scope.
    """
    for task in TASKS.values():
        if task.scope == scope:
            return task
    known = ", ".join(f"{task.scope!r} ({task.name})" for task in TASKS.values())
    raise ValueError(f"the config's default_scope is {scope!r}; known are {known}")
