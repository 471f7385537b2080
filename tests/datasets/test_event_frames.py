from pathlib import Path

import numpy as np
import pytest
import torch
from event_writers import aedat2, some_events, spikingjelly_datasets, write
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from spikevision.datasets.event_files import EVENT, read_recording
from spikevision.datasets.event_frames import (
    LoadEventRecording,
    count_events,
    read_event_frames,
)

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


# --- frames of recordings


def counted(events, **settings):
    return count_events(events, time_steps=4, sensor=(128, 128), **settings)


@pytest.fixture
def recording(tmp_path):
    return write(tmp_path / "recording.aedat", aedat2(*some_events(90)))


def load(path, *, cache=None, time_steps=4, **settings):
    loader = LoadEventRecording(
        time_steps=time_steps, sensor=(128, 128), cache=cache and str(cache), **settings
    )
    return loader({"img_path": str(path)})["img"]


def test_frames_by_count_and_by_time_are_what_hand_counting_gives():
    t = [0, 1, 2, 3, 50, 60, 80, 99, 100]
    events = np.array([(time, index, 5, index % 2) for index, time in enumerate(t)], dtype=EVENT)
    by_count = counted(events, split_by="count")
    assert by_count.sum((1, 2, 3)).tolist() == [2, 2, 2, 3]
    by_time = counted(events, split_by="time")  # 25 us each
    assert by_time.sum((1, 2, 3)).tolist() == [4, 0, 2, 3]
    assert by_time.shape == (4, 2, 128, 128)
    assert by_time[2, 0, 5, 4] == 1
    assert by_time[2, 1, 5, 5] == 1


@pytest.mark.parametrize("split_by", ["count", "time"])
def test_frames_equal_those_of_spikingjelly(recording, split_by, monkeypatch):
    utils = spikingjelly_datasets("utils", monkeypatch)
    events = read_recording(recording).events
    theirs = utils.integrate_events_by_fixed_frames_number(
        {name: events[name] for name in "txyp"},
        split_by={"count": "number"}.get(split_by, split_by),
        frames_num=4,
        H=128,
        W=128,
    )
    assert np.array_equal(counted(events, split_by=split_by), theirs)


@pytest.mark.parametrize("split_by", ["count", "time"])
def test_no_event_is_lost_also_when_all_come_at_once(split_by):
    events = np.zeros(10, dtype=EVENT)
    assert counted(events, split_by=split_by).sum() == 10


def test_too_few_events_or_one_outside_the_frames_is_refused(recording):
    with pytest.raises(ValueError, match=r"recording\.aedat'.*: 90 events do not fill 91 frames"):
        load(recording, time_steps=91)
    with pytest.raises(ValueError, match=r"recording\.aedat'.*outside the sensor of 20x20"):
        LoadEventRecording(time_steps=4, sensor=(20, 20))({"img_path": str(recording)})


def test_cached_frames_equal_fresh_ones_and_other_settings_get_their_own(recording, tmp_path):
    cache = tmp_path / "cache"
    fresh = load(recording)
    assert np.array_equal(load(recording, cache=cache), fresh)
    (kept,) = cache.iterdir()
    assert np.array_equal(load(recording, cache=cache), fresh)
    assert list(cache.iterdir()) == [kept]
    assert not np.array_equal(load(recording, cache=cache, split_by="time"), fresh)
    assert len(list(cache.iterdir())) == 2


def test_the_cache_is_used_and_a_damaged_or_outdated_file_is_made_again(recording, tmp_path):
    cache = tmp_path / "cache"
    fresh = load(recording, cache=cache)
    (kept,) = cache.iterdir()
    np.savez(kept, frames=np.full((4, 2, 128, 128), 7, dtype=np.uint16))
    assert load(recording, cache=cache).max() == 7
    kept.write_bytes(kept.read_bytes()[:50])
    assert np.array_equal(load(recording, cache=cache), fresh)
    recording.write_bytes(aedat2(*some_events(80)))
    assert load(recording, cache=cache).sum() == 80


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"time_steps": 0}, "at least 1"), ({"split_by": "events"}, "count or time")],
)
def test_an_impossible_setting_is_refused(recording, settings, message):
    with pytest.raises(ValueError, match=message):
        load(recording, **settings)


@pytest.mark.parametrize("backbone", ["Spikformer", "MetaSpikeFormer"])
def test_both_backbones_take_frames_of_a_recording(recording, backbone):
    frames = torch.from_numpy(load(recording).transpose(2, 0, 1).reshape(1, 4, 2, 128, 128))
    archs = {
        "Spikformer": {"embed_dims": 16, "depth": 1, "num_heads": 2},
        "MetaSpikeFormer": {"embed_dims": (4, 8, 8, 8), "num_heads": 1, "depths": (1, 1)},
    }
    model = MODELS.build(
        {
            "type": f"spikevision.{backbone}",
            "arch": archs[backbone],
            "time_steps": 4,
            "in_channels": 2,
            **({"variant": "event"} if backbone == "Spikformer" else {}),
        }
    )
    (features,) = model(frames)
    assert features.shape[:2] == (4, 1)
    assert features.shape[-2:] == (8, 8)
