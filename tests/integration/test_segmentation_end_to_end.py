"""A stock mmseg EncoderDecoder with a tiny spiking backbone, neck and heads, and a stock Runner around it."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
from tiny_segmentors import (
    CLASSES,
    PREPROCESSOR,
    SEGMENTORS,
    SEMANTIC_FPN,
    batch,
    build,
    enliven,
    losses_of,
    predict,
    runner_config,
    write_ade_folder,
)

from spikevision.jobs.config import check_data


def runner(root, work_dir):
    return Runner.from_cfg(runner_config(root, work_dir))


@pytest.mark.parametrize("name", SEGMENTORS)
def test_a_loss_of_each_head_is_reported(name):
    _, parts = losses_of(build(SEGMENTORS[name]).train(), batch())
    assert {"decode.loss_ce", "decode.acc_seg"} <= set(parts)
    assert ("aux.loss_ce" in parts) == (name == "upernet")


def test_a_few_steps_on_one_batch_lower_the_loss():
    model = enliven(build(SEMANTIC_FPN)).train()
    data = batch(n=1)
    data["data_samples"][0].gt_sem_seg.data = torch.arange(64).div(13).long().expand(1, 64, 64)
    data["inputs"][0] = torch.arange(64).mul(4).to(torch.uint8).expand(3, 64, 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    history = []
    for _ in range(6):
        loss, _ = losses_of(model, {k: list(v) for k, v in data.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert min(history[-2:]) < 0.95 * history[0]


@pytest.mark.parametrize("name", SEGMENTORS)
def test_prediction_has_the_size_of_the_image_whatever_its_size(name):
    model = build(SEGMENTORS[name])
    for size in ((64, 64), (50, 71), (7, 10)):  # the last is smaller than the largest stride
        (sample,) = predict(model, batch(*size, n=1))
        assert sample.seg_logits.data.shape == (CLASSES, *size)
        assert sample.pred_sem_seg.data.shape == (1, *size)
        assert 0 <= sample.pred_sem_seg.data.min() <= sample.pred_sem_seg.data.max() < CLASSES


def test_padding_is_cut_off_again():
    model = build(SEMANTIC_FPN)
    (odd,) = predict(model, batch(50, 71, n=1))
    image = batch(50, 71, n=1)["inputs"][0]
    normalised = (image.float() - 120) / 60
    padded = nn.functional.pad(normalised, (0, 80 - 71, 0, 64 - 50))[None]
    with torch.no_grad():
        logits = model(padded, mode="tensor")
    expected = nn.functional.interpolate(logits, (64, 80), mode="bilinear")[0, :, :50, :71]
    torch.testing.assert_close(odd.seg_logits.data, expected)


def test_image_that_is_no_multiple_of_the_stride_is_an_error_if_nothing_pads_it():
    model = build(SEMANTIC_FPN, data_preprocessor={**PREPROCESSOR, "test_cfg": None})
    with pytest.raises(ValueError, match="7x10 is no multiple of the stride 16"):
        predict(model, batch(7, 10, n=1))


@pytest.mark.parametrize("name", SEGMENTORS)
def test_sliding_one_window_over_its_own_size_is_whole_inference(name):
    whole = build(SEGMENTORS[name])
    slide = build(
        SEGMENTORS[name], test_cfg=dict(mode="slide", crop_size=(64, 64), stride=(32, 32))
    )
    a, b = (predict(model, batch(n=1))[0].seg_logits.data for model in (whole, slide))
    torch.testing.assert_close(a, b)


def test_sliding_windows_average_where_they_overlap():
    model = build(SEMANTIC_FPN, test_cfg=dict(mode="slide", crop_size=(64, 64), stride=(64, 32)))
    (sample,) = predict(model, batch(64, 96, n=1))
    whole = build(SEMANTIC_FPN)
    image = batch(64, 96, n=1)["inputs"][0]
    halves = []
    for part in (image[:, :, :64], image[:, :, 32:]):
        data = batch(n=1)
        data["inputs"] = [part]
        halves.append(predict(whole, data)[0].seg_logits.data)
    expected = torch.zeros(CLASSES, 64, 96)
    expected[..., :64] += halves[0]
    expected[..., 32:] += halves[1]
    expected[..., 32:64] /= 2
    torch.testing.assert_close(sample.seg_logits.data, expected)


def test_loss_of_pixels_that_are_all_ignored_is_zero_and_not_nan():
    model = build(SEMANTIC_FPN).train()
    data = batch()
    for sample in data["data_samples"]:
        sample.gt_sem_seg.data.fill_(255)
    loss, _ = losses_of(model, data)
    assert loss.item() == 0


def test_images_smaller_than_the_crop_are_padded_with_ignored_labels():
    model = build(SEMANTIC_FPN).train()
    prepared = model.data_preprocessor(batch(40, 64), training=True)
    assert prepared["inputs"].shape[-2:] == (64, 64)
    labels = prepared["data_samples"][0].gt_sem_seg.data
    assert (labels[:, 40:] == 255).all()
    assert (labels[:, :40] < CLASSES).all()


def test_binary_segmentation_with_one_logit_trains_and_predicts():
    head = dict(
        SEMANTIC_FPN["decode_head"],
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True),
    )
    model = build(SEMANTIC_FPN, decode_head=head).train()
    data = batch()
    for sample in data["data_samples"]:
        sample.gt_sem_seg.data.clamp_(max=1)
    loss, _ = losses_of(model, data)
    assert loss.isfinite()
    assert set(predict(model, batch(n=1))[0].pred_sem_seg.data.unique().tolist()) <= {0.0, 1.0}


# a stock Runner on a folder of ADE20K's form


def test_stock_runner_trains_and_validates(tmp_path):
    write_ade_folder(tmp_path / "ade")
    run = runner(tmp_path / "ade", tmp_path / "run")
    run.train()
    assert run.iter == 2
    assert 0 <= run.message_hub.get_scalar("val/mIoU").current() <= 100


@pytest.mark.parametrize("part", ["training", "validation"])
def test_label_beyond_the_classes_stops_the_run_and_names_the_file(tmp_path, part):
    wrong = np.full(
        (64, 64), CLASSES + 1, dtype=np.uint8
    )  # 5 after reduce_zero_label; 0 to 4 exist
    write_ade_folder(tmp_path / "ade", labels={f"{part}/1.png": wrong})
    with pytest.raises(ValueError, match=rf"{part}/1\.png.* holds \[5\].* 5 classes \(0 to 4; 255"):
        runner(tmp_path / "ade", tmp_path / "run").train()


def test_label_map_of_another_size_stops_the_run_and_names_the_file(tmp_path):
    small = np.ones((32, 64), dtype=np.uint8)
    write_ade_folder(tmp_path / "ade", labels={"validation/0.png": small})
    with pytest.raises(ValueError, match=r"validation/0\.png.*\(32, 64\).*\(64, 64\)"):
        runner(tmp_path / "ade", tmp_path / "run").train()


def test_a_missing_label_map_stops_the_run_and_names_the_file(tmp_path):
    write_ade_folder(tmp_path / "ade")
    (tmp_path / "ade/annotations/training/1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"annotations/training/1\.png"):
        runner(tmp_path / "ade", tmp_path / "run").train()


def test_a_set_in_which_no_image_has_the_suffix_is_an_error(tmp_path):
    write_ade_folder(tmp_path / "ade")
    config = runner_config(tmp_path / "ade", tmp_path / "run")
    check_data(config, loaders=("train_dataloader", "val_dataloader"))
    config.val_dataloader.dataset.img_suffix = ".jpg"
    with pytest.raises(ValueError, match=r"val_dataloader: no file in .*validation' ends in .*jpg"):
        check_data(config, loaders=("train_dataloader", "val_dataloader"))


@pytest.mark.parametrize("name", SEGMENTORS)
def test_images_smaller_than_the_largest_stride_train_and_are_answered_in_their_own_pixels(name):
    model = build(SEGMENTORS[name])
    data = batch(9, 7)
    loss, _ = losses_of(model.train(), data)
    assert loss.isfinite()
    assert predict(model, batch(9, 7, n=1))[0].pred_sem_seg.data.shape == (1, 9, 7)
