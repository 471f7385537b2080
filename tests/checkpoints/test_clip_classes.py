"""Names of classes in the order of labels."""

import pytest

from spikevision.checkpoints.clip_classes import class_names


def test_sets_are_in_the_order_of_their_labels():
    imagenet, cifar = class_names("imagenet"), class_names("cifar100")
    assert (len(imagenet), imagenet[0], imagenet[999]) == (1000, "tench", "toilet paper")
    assert (len(cifar), cifar[1]) == (100, "aquarium fish")
    assert class_names("cifar10")[3] == "cat"


def test_names_of_a_file_keep_their_order(tmp_path):
    (tmp_path / "names.txt").write_text("zebra\n\n polar bear \n")
    assert class_names(str(tmp_path / "names.txt")) == ["zebra", "polar bear"]
    with pytest.raises(
        ValueError, match="classes are one of imagenet, cifar10, cifar100 or a text"
    ):
        class_names("coco")
