import numpy as np
import pytest
from PIL import Image

from spikevision.datasets.loading import SafeLoadImage


def test_a_good_image_is_loaded_as_mmcv_does(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    sample = SafeLoadImage().transform({"img_path": str(tmp_path / "a.png")})
    assert np.array_equal(sample["img"], pixels[..., ::-1])  # BGR, as all of mmcv
    assert sample["ori_shape"] == (4, 5)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_an_unreadable_image_is_named_or_left_out(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read image '.*a\.png'.*on_error='skip'"):
        SafeLoadImage().transform({"img_path": str(path)})
    assert SafeLoadImage(on_error="skip").transform({"img_path": str(path)}) is None


def test_a_half_written_png_is_unreadable(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"a\.png"):
        SafeLoadImage().transform({"img_path": str(path)})


def test_another_choice_is_refused():
    with pytest.raises(ValueError, match="'ignore'; it can be 'raise' or 'skip'"):
        SafeLoadImage(on_error="ignore")
