"""The vision tasks that spikevision knows, one :class:`TaskSpec` each; jobs ask this table, never a name."""

from spikevision.tasks.spec import TaskSpec

__all__ = ["ENERGY", "TASKS", "TaskSpec", "task_of_scope"]

ENERGY = "energy_pj"  # of the spiking network, per image; of every task where spikes are counted
COMMON = (ENERGY, "loss")

TASKS = {
    task.name: task
    for task in (
        TaskSpec(
            name="classification",
            scope="mmpretrain",
            metric="accuracy/top1",
            headlines=("accuracy/top1",),
            metrics=("accuracy/*", "single-label/*", "multi-label/*", *COMMON),
            units={
                ENERGY: "pJ",
                "accuracy/": "%",
                "single-label/": "%",
                "time": "s",
                "data_time": "s",
            },
        ),
        TaskSpec(
            name="detection",
            scope="mmdet",
            metric="coco/bbox_mAP",  # a share, 0 to 1
            headlines=("coco/bbox_mAP_50", "coco/segm_mAP_50"),
            to_percent=100.0,
            metrics=("coco/*", "pascal_voc/*", *COMMON),
            units={ENERGY: "pJ", "time": "s", "data_time": "s"},
        ),
        TaskSpec(
            name="segmentation",
            scope="mmseg",
            metric="mIoU",
            headlines=("mIoU",),
            metrics=("aAcc", "mIoU", "mAcc", "mDice", "mFscore", "mPrecision", "mRecall", *COMMON),
            units={
                ENERGY: "pJ",
                "mIoU": "%",
                "mAcc": "%",
                "aAcc": "%",
                "time": "s",
                "data_time": "s",
            },
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
