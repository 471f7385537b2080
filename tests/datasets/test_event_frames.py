from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from spikevision.datasets.event_frames import read_event_frames

TIME, HEIGHT, WIDTH = 3, 6, 8


def frames_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, (TIME, 2, HEIGHT, WIDTH), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with two samples each, in both formats."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "train" / name).mkdir(parents=True)
        np.savez(tmp_path / "train" / name / "a.npz", frames=frames_of(2 * label))
        np.save(tmp_path / "train" / name / "b.npy", frames_of(2 * label + 1))
    return tmp_path


def build(folder: Path, *between: dict, **load):
    pipeline = [{"type": "spikevision.LoadEventFrames", **load}, *between]
    pipeline.append({"type": "spikevision.PackEventFrames"})
    config = {"data_root": str(folder), "data_prefix": "train", "pipeline": pipeline}
    return DATASETS.build(
        {"type": "spikevision.EventFrameFolder", "_scope_": "mmpretrain", **config}
    )


def test_a_batch_reaches_the_model_as_time_polarity_and_space(folder):
    dataset = build(folder)
    batch = pseudo_collate([dataset[index] for index in range(4)])
    preprocess = MODELS.build({"type": "mmpretrain.ClsDataPreprocessor", "num_classes": 2})
    inputs = preprocess(batch)["inputs"]
    assert inputs.shape == (4, TIME, 2, HEIGHT, WIDTH)
    assert torch.equal(
        inputs, torch.stack([torch.from_numpy(frames_of(n)) for n in range(4)]).float()
    )
    assert [int(sample.gt_label) for sample in batch["data_samples"]] == [0, 0, 1, 1]
    assert dataset.metainfo["classes"] == ("cat", "dog")


def test_the_stock_flip_treats_all_time_steps_alike(folder):
    flipped = build(folder, {"type": "mmcv.RandomFlip", "prob": 1.0, "direction": "horizontal"})
    expected = torch.from_numpy(frames_of(0)[..., ::-1].copy()).float()
    assert torch.equal(flipped[0]["inputs"], expected)


def test_the_stock_resize_treats_all_time_steps_alike(folder):
    resized = build(folder, {"type": "mmcv.Resize", "scale": (4, 3), "interpolation": "area"})
    expected = frames_of(0).reshape(TIME, 2, 3, 2, 4, 2).mean((3, 5))  # 2x2 means, by hand
    assert torch.allclose(resized[0]["inputs"], torch.from_numpy(expected).float())


def test_another_number_of_frames_names_the_file(folder):
    with pytest.raises(ValueError, match=r"cat/a\.npz' has 3 frames, time_steps is 4"):
        build(folder, time_steps=4)[0]


def test_time_steps_below_one_are_refused(folder):
    with pytest.raises(ValueError, match="time_steps is 0"):
        build(folder, time_steps=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"frames": np.zeros((3, 3, 6, 8))}, r"holds \[3, 3, 6, 8\]"),
        ({"frames": np.zeros((0, 2, 6, 8))}, r"holds \[0, 2, 6, 8\]"),
        ({"other": np.zeros(3)}, "frames"),
        ({"frames": np.array([{"pickled": 1}], dtype=object)}, "allow_pickle"),
    ],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, content, said):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(ValueError, match=said) as caught:
        read_event_frames(tmp_path / "x.npz")
    assert "x.npz" in str(caught.value)


def test_a_truncated_file_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", frames=frames_of(0))
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:50])
    with pytest.raises(ValueError, match=r"cannot read event frames .*x\.npz"):
        read_event_frames(tmp_path / "x.npz")
