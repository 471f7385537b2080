"""A stock mmseg EncoderDecoder with a tiny spiking backbone, neck and heads, and a stock Runner around it."""

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
import mmseg.datasets
import mmseg.engine
import mmseg.evaluation  # noqa: F401  (the two register what a Runner needs)
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

CLASSES = 5
BACKBONE = dict(
    type="spikevision.MetaSpikeFormer",
    arch=dict(embed_dims=(8, 16, 32, 40), num_heads=8),
    time_steps=2,
)
PREPROCESSOR = dict(
    type="SegDataPreProcessor",
    mean=[120.0] * 3,
    std=[60.0] * 3,
    size=(64, 64),
    test_cfg=dict(size_divisor=16),
)
SEMANTIC_FPN = dict(
    type="EncoderDecoder",
    data_preprocessor=PREPROCESSOR,
    backbone=dict(**BACKBONE, out_indices=(0, 1, 2, 4)),
    neck=dict(
        type="spikevision.SpikingFPN",
        in_channels=[4, 8, 16, 40],
        out_channels=12,
        num_outs=4,
        norm_cfg=dict(type="BN"),
    ),
    decode_head=dict(
        type="spikevision.SpikingFPNHead",
        in_channels=[12] * 4,
        in_index=[0, 1, 2, 3],
        channels=10,
        num_classes=CLASSES,
    ),
    test_cfg=dict(mode="whole"),
)
UPERNET = dict(
    type="EncoderDecoder",
    data_preprocessor=PREPROCESSOR,
    backbone=dict(**BACKBONE, out_indices=(1, 2, 3, 4)),
    decode_head=dict(
        type="spikevision.SpikingUPerHead",
        in_channels=[8, 16, 32, 40],
        in_index=[0, 1, 2, 3],
        channels=10,
        num_classes=CLASSES,
    ),
    auxiliary_head=dict(
        type="spikevision.SpikingFCNHead",
        in_channels=32,
        in_index=2,
        channels=10,
        num_convs=1,
        num_classes=CLASSES,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
    ),
    test_cfg=dict(mode="whole"),
)
SEGMENTORS = {"semantic_fpn": SEMANTIC_FPN, "upernet": UPERNET}


def build(cfg, **changes):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(ConfigDict({**cfg, **changes}))
        model.init_weights()
    return model


def enliven(model):
    """Let all neurons of a random network fire: a weight behind a silent neuron has no gradient to receive."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 3)
            nn.init.constant_(module.bias, 1)
    return model


def batch(height=64, width=64, *, n=2):
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 255, (3, height, width), generator=generator, dtype=torch.uint8)
        for _ in range(n)
    ]
    samples = []
    for _ in range(n):
        labels = torch.randint(0, CLASSES, (1, height, width), generator=generator)
        size = dict(ori_shape=(height, width), img_shape=(height, width), pad_shape=(height, width))
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=size))
    return dict(inputs=images, data_samples=samples)


def predict(model, data):
    with torch.no_grad():
        return model.eval().test_step(data)


def losses_of(model, data):
    prepared = model.data_preprocessor(data, training=True)
    return model.parse_losses(model(**prepared, mode="loss"))


@pytest.mark.parametrize("name", SEGMENTORS)
def test_training_gives_every_parameter_a_gradient(name):
    model = enliven(build(SEGMENTORS[name])).train()
    loss, parts = losses_of(model, batch())
    loss.backward()
    assert loss.isfinite()
    assert {"decode.loss_ce", "decode.acc_seg"} <= set(parts)
    assert ("aux.loss_ce" in parts) == (name == "upernet")
    without = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert without == []


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


def write_ade_folder(root, *, labels=None, seed=0):
    generator = np.random.default_rng(seed)
    for part in ("training", "validation"):
        for kind in ("images", "annotations"):
            (root / kind / part).mkdir(parents=True)
        for index in range(2):
            # in the files 0 is ignored and 1 is the first class
            label = generator.integers(0, CLASSES + 1, (64, 64), dtype=np.uint8)
            image = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / "images" / part / f"{index}.png")
            Image.fromarray(label).save(root / "annotations" / part / f"{index}.png")
    for path, label in (labels or {}).items():
        Image.fromarray(label).save(root / "annotations" / path)


def runner(root, work_dir):
    load = [dict(type="LoadImageFromFile")]
    annotations = [dict(type="LoadAnnotations", reduce_zero_label=True), dict(type="PackSegInputs")]

    def loader(part, **kwargs):
        dataset = dict(
            type="BaseSegDataset",
            data_root=str(root),
            img_suffix=".png",
            reduce_zero_label=True,
            metainfo=dict(classes=tuple("abcde"), palette=[[i, i, i] for i in range(CLASSES)]),
            data_prefix=dict(img_path=f"images/{part}", seg_map_path=f"annotations/{part}"),
            pipeline=load + annotations,
        )
        return dict(batch_size=2, num_workers=0, dataset=dataset, **kwargs)

    return Runner.from_cfg(
        Config(dict(
            work_dir=str(work_dir),
            default_scope="mmseg",
            experiment_name=work_dir.name,
            model=SEMANTIC_FPN,
            train_dataloader=loader("training", sampler=dict(type="InfiniteSampler", shuffle=False)),
            val_dataloader={**loader("validation", sampler=dict(type="DefaultSampler", shuffle=False)), "batch_size": 1},
            val_evaluator=dict(type="IoUMetric", iou_metrics=["mIoU"]),
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=2, val_interval=2),
            val_cfg=dict(type="ValLoop"),
            optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3)),
            custom_hooks=[dict(type="spikevision.SegmentationLabelHook")],
            log_level="WARNING",
        ))
    )  # fmt: skip


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
