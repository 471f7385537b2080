import pytest
from mmengine.config import Config

from spikevision.jobs.classes import Classes, classes_of, distinct_color

CONFIG = Config(dict(test_dataloader=dict(dataset=dict(metainfo=dict(classes=("cat", "dog"))))))


def test_names_of_the_checkpoint_go_before_those_of_the_config():
    checkpoint = {"meta": {"dataset_meta": {"classes": ["owl", "fox"]}}}
    assert classes_of(checkpoint, CONFIG, count=2).names == ("owl", "fox")
    assert classes_of({}, CONFIG, count=2).names == ("cat", "dog")


def test_colours_are_taken_from_whoever_has_them_for_every_class():
    palette = [[1, 2, 3], [4, 5, 6]]
    checkpoint = {"meta": {"dataset_meta": {"classes": ["owl", "fox"], "palette": palette[:1]}}}
    config = Config(dict(test_dataloader=dict(dataset=dict(metainfo=dict(palette=palette)))))
    expected = Classes(("owl", "fox"), ((1, 2, 3), (4, 5, 6)))
    assert classes_of(checkpoint, config, count=2) == expected


def test_without_names_classes_are_called_by_their_index():
    assert classes_of({}, Config(dict(model=dict())), count=3).names == ("0", "1", "2")


def test_another_number_of_names_is_an_error_that_tells_both():
    with pytest.raises(ValueError, match=r"model has 3 classes, its data 2 \(cat, dog"):
        classes_of({}, CONFIG, count=3)


def test_neighbouring_colours_differ_clearly():
    colors = [distinct_color(index) for index in range(30)]
    far = [
        sum(abs(a - b) for a, b in zip(one, two, strict=True))
        for one, two in zip(colors[1:], colors, strict=False)
    ]
    assert min(far) > 120
    assert len(set(colors)) == 30
