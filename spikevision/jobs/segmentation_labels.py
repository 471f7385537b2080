"""Check the label maps of semantic segmentation before they reach a loss or a metric."""

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from spikevision.jobs.weights import network_of
from spikevision.registry import HOOKS

__all__ = ["SegmentationLabelHook"]


@HOOKS.register_module()
class SegmentationLabelHook(Hook):
    """Stop at a label map that has values beyond the classes, or another size than its image; names the file.

    Without it such a value ends training by an index error that names no file (on CUDA by an assertion that takes the
    process along), and mmseg's IoU metric leaves its pixels out without a word. Looks at the batch as the data loader
    gives it, so no pipeline has to change and no device has to be waited for. Number of classes and ignored value
    are those of the model's decode head.
    """

    def _before_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Mapping[str, Any] | None = None,
        mode: str = "train",
    ) -> None:
        assert data_batch is not None  # mmengine's loops always give it
        for image, sample in zip(data_batch["inputs"], data_batch["data_samples"], strict=True):
            if "gt_sem_seg" in sample:
                # in training the map goes through the pipeline with the image, in a test it keeps the original size
                size = image.shape[-2:] if mode == "train" else sample.ori_shape
                check_label_map(sample, size, network_of(runner.model).decode_head)


def check_label_map(sample: Any, size: tuple[int, int], head: Any) -> None:
    """Raise unless the label map of a sample fits.

    Args:
        sample: mmseg's SegDataSample with ``gt_sem_seg``.
        size: Height and width that the map should have, in pixels.
        head: Decode head; gives ``num_classes`` and ``ignore_index``.

    Raises:
        ValueError: The map has another size, or values that are neither a class nor ignored.
    """
    labels = sample.gt_sem_seg.data
    path = sample.get("seg_map_path", "a label map")
    if tuple(labels.shape[-2:]) != tuple(size):
        raise ValueError(
            f"{path}: the label map is {tuple(labels.shape[-2:])} (height, width) where its image is {tuple(size)}"
        )
    beyond = (labels < 0) | (labels >= head.num_classes)
    if head.ignore_index is not None:
        beyond &= labels != head.ignore_index
    if beyond.any():
        raise ValueError(
            f"{path}: the label map holds {labels[beyond].unique().tolist()[:5]}, the decode head has "
            f"{head.num_classes} classes (0 to {head.num_classes - 1}; {head.ignore_index} is ignored). Repair the map, "
            "give the heads more classes, or check reduce_zero_label (True: in the file, 0 is ignored and 1 is the "
            "first class)"
        )
