import numpy as np
import pytest
from event_writers import aedat2, aedat3, atis, some_events, write
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from spikevision.datasets.event_sets import CIFAR10DVS, DVS128Gesture, NCaltech101

CLASSES = CIFAR10DVS.METAINFO["classes"]
HEAD = "class,startTime_usec,endTime_usec\n"


@pytest.fixture
def cifar(tmp_path):
    for name in CLASSES:
        for number in range(11):  # 10 comes after 9, not after 1
            content = aedat2(*some_events(40 + number))
            write(tmp_path / "cifar10-dvs" / name / f"cifar10_{name}_{number}.aedat", content)
    return tmp_path / "cifar10-dvs"


@pytest.fixture
def gestures(tmp_path):
    root = tmp_path / "DvsGesture"
    for user in ("user01_led", "user24_lab"):
        t, x, y, p = some_events(300)
        write(root / f"{user}.aedat", aedat3(t, x, y, p))
        rows = f"1,{t[0]},{t[100]}\n11,{t[150]},{t[299]}\n"
        (root / f"{user}_labels.csv").write_text(HEAD + rows)
    (root / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (root / "trials_to_test.txt").write_text("user24_lab.aedat\n\n")
    return root


@pytest.fixture
def caltech(tmp_path):
    for name in ("ant", "BACKGROUND_Google", "accordion"):
        for number in range(1, 4):
            content = atis(*some_events(width=240, height=180))
            write(tmp_path / "Caltech101" / name / f"image_{number:04d}.bin", content)
    return tmp_path / "Caltech101"


def test_cifar10_dvs_is_split_by_the_numbers_of_the_files(cifar):
    train, test = (CIFAR10DVS(str(cifar), split=split) for split in ("train", "test"))
    assert len(train) == 90
    assert len(test) == 20
    numbers = [path["img_path"].rsplit("_", 1)[1] for path in test.load_data_list()[:2]]
    assert numbers == ["9.aedat", "10.aedat"]
    assert test.get_data_info(19)["gt_label"] == 9
    assert test.test_mode
    assert not train.test_mode


def test_n_caltech101_takes_its_classes_from_the_folders(caltech):
    test = NCaltech101(str(caltech), split="test")
    assert test.metainfo["classes"] == ("BACKGROUND_Google", "accordion", "ant")
    assert [test.get_data_info(i)["gt_label"] for i in range(len(test))] == [0, 1, 2]
    assert NCaltech101.METAINFO == {}


def test_a_gesture_is_the_part_of_a_recording_that_the_table_says(gestures):
    train = DVS128Gesture(str(gestures), split="train")
    t = some_events(300)[0]
    infos = [train.get_data_info(index) for index in range(len(train))]
    assert [info["gt_label"] for info in infos] == [0, 10]
    assert infos[0]["span_us"] == (t[0], t[100])
    assert all(info["img_path"].endswith("user01_led.aedat") for info in infos)
    assert len(train.metainfo["classes"]) == 11


CONFIGS = {
    "cifar10-dvs_bs16_t16.py": "cifar",
    "dvs128-gesture_bs16_t16.py": "gestures",
    "n-caltech101_bs16_t16.py": "caltech",
}


@pytest.mark.parametrize(("name", "fixture"), CONFIGS.items())
def test_the_pipelines_of_the_configs_make_frames_of_the_original_files(
    name, fixture, request, tmp_path
):
    root = request.getfixturevalue(fixture)
    config = Config.fromfile(f"configs/_base_/datasets/{name}")
    for loader in (config.train_dataloader, config.test_dataloader):
        settings = {**loader.dataset, "data_root": str(root), "_scope_": "mmpretrain"}
        settings["pipeline"][0]["cache"] = str(tmp_path / "cache")
        sample = DATASETS.build(settings)[1]
        assert sample["inputs"].shape == (16, 2, 128, 128)
        assert sample["inputs"].sum() > 10
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_missing_class_table_or_recording_is_named(cifar, gestures, tmp_path):
    for path in (cifar / "deer").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"deer' holds 0 \.aedat files; unpack"):
        CIFAR10DVS(str(cifar))
    (gestures / "user01_led_labels.csv").unlink()
    with pytest.raises(ValueError, match=r"user01_led_labels\.csv' is missing; data_root is"):
        DVS128Gesture(str(gestures))
    with pytest.raises(ValueError, match="the folder .*nowhere' does not exist"):
        NCaltech101(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("12,5,9", "class 12 from 5 to 9 us is no gesture"),
        ("3,9,5", "class 3 from 9 to 5 us is no gesture"),
        ("3,9", "expected class,start,end"),
        ("wave,1,2", "expected class,start,end"),
    ],
)
def test_a_wrong_row_of_a_table_is_named_with_its_line(gestures, row, message):
    (gestures / "user01_led_labels.csv").write_text(f"{HEAD}1,5,9\n{row}\n")
    with pytest.raises(ValueError, match=rf"user01_led_labels\.csv', line 3: {message}"):
        DVS128Gesture(str(gestures))


@pytest.mark.parametrize("settings", [{"split": "val"}, {"train_share": 1.0}])
def test_an_unknown_split_or_share_is_refused(cifar, settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} is"):
        CIFAR10DVS(str(cifar), **settings)


def test_spans_survive_serialisation_as_integers(gestures):
    info = DVS128Gesture(str(gestures), serialize_data=True).get_data_info(0)
    assert all(
        isinstance(value, int) and not isinstance(value, np.generic) for value in info["span_us"]
    )
