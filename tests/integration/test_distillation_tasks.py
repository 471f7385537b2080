"""Distillation on the shrunk detectors and segmentors, in one training step."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
import tiny_detectors
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

CLASSES = 3
STOCK_BACKBONE = dict(type="MobileNetV2", widen_factor=0.1, out_indices=(2, 4, 6))
SEG_PREPROCESSOR = dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, size=(64, 64))
SEGMENTOR = dict(
    type="EncoderDecoder",
    data_preprocessor=SEG_PREPROCESSOR,
    backbone=dict(
        type="spikevision.MetaSpikeFormer",
        arch=dict(embed_dims=(8, 8, 16, 16), num_heads=1, depths=(1, 1)),
        time_steps=2,
        out_indices=(1, 2),
        neuron=dict(type="LIF", v_threshold=0.5),
    ),
    decode_head=dict(
        type="spikevision.SpikingFCNHead",
        in_channels=8,
        in_index=1,
        channels=8,
        num_classes=CLASSES,
    ),
)
SEG_TEACHER = dict(
    type="EncoderDecoder",
    data_preprocessor=SEG_PREPROCESSOR,
    backbone=dict(
        type="MobileNetV2", widen_factor=0.1, out_indices=(1, 2), strides=(1, 2, 2, 1, 1, 1, 1)
    ),
    decode_head=dict(
        type="FCNHead", in_channels=8, in_index=1, channels=8, num_convs=1, num_classes=CLASSES
    ),
)


def saved(config: dict, path, *, scope: str) -> dict:
    """A teacher of a Distiller: a model dict, and random weights in a file."""
    torch.manual_seed(1)
    with DefaultScope.overwrite_default_scope(scope):
        torch.save(MODELS.build(ConfigDict(config)).state_dict(), path)
    return dict(config=config, checkpoint=str(path))


def distiller(student: dict, teacher: dict, *losses: dict, scope: str) -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(
            dict(type="spikevision.Distiller", student=student, teacher=teacher, losses=losses)
        )
        model.init_weights()
    return model.train()


def learned(model: nn.Module, data: dict) -> dict[str, torch.Tensor]:
    """Distillation losses of one step, after all parameters have got finite gradients."""
    losses = model(**model.data_preprocessor(data, training=True), mode="loss")
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    found = {name: value for name, value in losses.items() if name.startswith("loss_0_")}
    found |= {name: value for name, value in losses.items() if name.startswith("loss_1_")}
    assert all(value > 0 for value in found.values())
    return found


@pytest.mark.parametrize("name", ["retinanet", "mask-rcnn"])
def test_a_detector_learns_the_dense_logits_of_its_family(name, tmp_path):
    config = tiny_detectors.shrunk(name)
    student = config.model.to_dict()
    larger = copy.deepcopy(student)
    larger["backbone"]["time_steps"] = 1
    teacher = saved(larger, tmp_path / "w.pth", scope="mmdet")
    model = distiller(student, teacher, dict(type="SoftLogits"), scope="mmdet")
    assert list(learned(model, tiny_detectors.batch())) == ["loss_0_SoftLogits"]


def test_a_detector_learns_features_and_attention_of_a_stock_network(tmp_path):
    student = tiny_detectors.shrunk("retinanet").model.to_dict()
    stock = copy.deepcopy(student)
    stock.update(type="RetinaNet", backbone=STOCK_BACKBONE)
    stock["neck"] = dict(type="FPN", in_channels=[8, 16, 32], out_channels=16, num_outs=5)
    stock["bbox_head"]["type"] = "RetinaHead"
    teacher = saved(stock, tmp_path / "w.pth", scope="mmdet")
    losses = (
        dict(type="Features", student="neck", teacher="neck", level=0),
        dict(type="AttentionMaps"),
    )
    model = distiller(student, teacher, *losses, scope="mmdet")
    assert len(learned(model, tiny_detectors.batch())) == 2


def test_hard_logits_of_a_detector_are_refused(tmp_path):
    student = tiny_detectors.shrunk("retinanet").model.to_dict()
    with pytest.raises(ValueError, match="use SoftLogits"):
        distiller(student, dict(config=student), dict(type="HardLogits"), scope="mmdet")


def seg_batch() -> dict:
    torch.manual_seed(0)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, CLASSES, (1, 64, 64)))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


def test_a_segmentor_learns_hard_and_soft_logits_of_a_stock_network(tmp_path):
    teacher = saved(SEG_TEACHER, tmp_path / "w.pth", scope="mmseg")
    losses = (dict(type="HardLogits"), dict(type="SoftLogits"))
    model = distiller(SEGMENTOR, teacher, *losses, scope="mmseg")
    assert len(learned(model, seg_batch())) == 2


def test_a_teacher_of_another_task_is_refused(tmp_path):
    student = tiny_detectors.shrunk("retinanet").model.to_dict()
    teacher = saved(SEG_TEACHER, tmp_path / "w.pth", scope="mmseg")
    config = {**SEG_TEACHER, "type": "mmseg.EncoderDecoder"}
    config["backbone"] = {**config["backbone"], "type": "mmseg.MobileNetV2"}
    config["decode_head"] = {**config["decode_head"], "type": "mmseg.FCNHead"}
    config["data_preprocessor"] = {**SEG_PREPROCESSOR, "type": "mmseg.SegDataPreProcessor"}
    teacher = dict(teacher, config=config)
    with pytest.raises(ValueError, match="a model of segmentation, the student .* of detection"):
        distiller(student, teacher, dict(type="AttentionMaps"), scope="mmdet")
