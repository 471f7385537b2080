from types import SimpleNamespace

import pytest
import torch

from spikevision.jobs.segmentation_labels import check_label_map

HEAD = SimpleNamespace(num_classes=3, ignore_index=255)


class Sample(dict):
    """As much of mmseg's SegDataSample as the check looks at."""

    def __init__(self, labels):
        super().__init__(seg_map_path="maps/7.png")
        self.gt_sem_seg = SimpleNamespace(data=torch.tensor([labels]))


@pytest.mark.parametrize("labels", [[[0, 1], [2, 255]], [[255, 255], [255, 255]]])
def test_classes_and_ignored_pixels_pass(labels):
    check_label_map(Sample(labels), (2, 2), HEAD)


@pytest.mark.parametrize(("wrong", "shown"), [(3, r"\[3\]"), (254, r"\[254\]"), (-1, r"\[-1\]")])
def test_a_value_that_is_neither_names_file_value_and_range(wrong, shown):
    with pytest.raises(
        ValueError, match=rf"^maps/7\.png: .*{shown}.* 3 classes \(0 to 2; 255 is ignored\)"
    ):
        check_label_map(Sample([[0, wrong], [1, 255]]), (2, 2), HEAD)


def test_without_an_ignored_value_255_is_beyond_the_classes():
    head = SimpleNamespace(num_classes=3, ignore_index=None)
    with pytest.raises(ValueError, match=r"\[255\]"):
        check_label_map(Sample([[0, 255]]), (1, 2), head)


def test_another_size_names_both_sizes():
    with pytest.raises(ValueError, match=r"maps/7\.png.*\(1, 2\).*\(4, 4\)"):
        check_label_map(Sample([[0, 1]]), (4, 4), HEAD)
