"""Each kind of model converts as it is: equal to the ANN without neurons, nearer to it with every step with them."""

import pytest
import torch
from model_kinds import CLASSIFIERS, DETECTORS, SEGMENTORS, deformable_detr
from tiny_tasks import detection_data, segmentation_data
from tiny_vit import logits_of, snr_db
from torch import Tensor, nn

from spikevision.conversion import STAConfig, convert

EXACT = STAConfig(preset="exact")
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def with_large_weights(model: nn.Module) -> nn.Module:
    """Random weights of some size, so that no function sees nearly nothing."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    model.eval()
    return model


def values_of(samples: list) -> Tensor:
    """What a detector or segmentor answered before its last threshold, in one vector."""
    if "seg_logits" in samples[0]:
        return torch.cat([sample.seg_logits.data.flatten() for sample in samples])
    rows = [sample.pred_instances for sample in samples]
    return torch.cat([torch.cat([row.bboxes.flatten() / 40, row.scores]) for row in rows])


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind):
    model = with_large_weights(CLASSIFIERS[kind]())
    wanted = logits_of(model, IMAGES)
    for found in convert(model, [IMAGES[:2]], EXACT).run(IMAGES, 3, at=[1, 2, 3]).values():
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    curve = convert(model, [IMAGES], STAConfig(preset="ecmt")).run(IMAGES, 8, at=[2, 8])
    assert snr_db(wanted, curve[8]) > max(20, snr_db(wanted, curve[2]) + 6)


@pytest.mark.parametrize("kind", SEGMENTORS)
def test_segmentors(kind):
    model = with_large_weights(SEGMENTORS[kind]())
    data, other = segmentation_data((32, 32), (32, 32)), segmentation_data((40, 56), seed=1)
    exact = convert(model, [data], EXACT)
    for images in (data, other):  # the second are of a size that calibration never saw
        wanted = values_of(exact.ann(**images))
        for found in exact.run(images, 2, at=[1, 2]).values():
            torch.testing.assert_close(values_of(found), wanted, rtol=0, atol=1e-4)
    curve = convert(model, [data], STAConfig(preset="ecmt")).run(other, 8, at=[2, 8])
    assert snr_db(wanted, values_of(curve[8])) > max(15, snr_db(wanted, values_of(curve[2])))


@pytest.mark.parametrize("kind", DETECTORS)
def test_detectors(kind):
    model = with_large_weights(DETECTORS[kind]())
    data, other = detection_data((32, 32), (32, 40)), detection_data((48, 40), seed=1)
    exact = convert(model, [data], EXACT)
    for images in (data, other):
        wanted = values_of(exact.ann(**images))
        for found in exact.run(images, 2, at=[1, 2]).values():
            torch.testing.assert_close(values_of(found), wanted, rtol=0, atol=1e-4)


def test_deformable_attention_samples_on_running_means_where_that_is_asked_for():
    model = with_large_weights(deformable_detr())
    data, other = detection_data((32, 32), (32, 40)), detection_data((48, 40), seed=1)
    with pytest.raises(
        ValueError, match=r"attn' \(MultiScaleDeformableAttention\).*unsupported='exact'"
    ):
        convert(model, [data], EXACT)
    exact = convert(model, [data], STAConfig(preset="exact", unsupported="exact"))
    for images in (data, other):
        wanted = values_of(exact.ann(**images))
        for found in exact.run(images, 2, at=[1, 2]).values():
            torch.testing.assert_close(values_of(found), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["Swin", "DeiT"])
def test_operators_of_hinges_too(kind):
    model = with_large_weights(CLASSIFIERS[kind]())
    curve = convert(model, [IMAGES], STAConfig(preset="sta")).run(IMAGES, 32, at=[8, 32])
    wanted = logits_of(model, IMAGES)
    assert snr_db(wanted, curve[32]) > max(12, snr_db(wanted, curve[8]) + 6)
