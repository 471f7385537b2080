import pytest
import torch
from mmengine.config import ConfigDict

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.models import detectors
from mmdet.registry import MODELS

STRIDES = [4, 8, 16, 16, 32]


def extractor(strides):
    return dict(
        type="spikevision.SpikingRoIExtractor",
        roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=0),
        out_channels=8,
        featmap_strides=strides,
    )


def two_stage(
    kind="spikevision.MaskRCNN", anchors=STRIDES, boxes=(4, 8, 16, 16), masks=(4, 8, 16, 16), **neck
):
    return dict(
        type=kind,
        backbone=dict(
            type="spikevision.MetaSpikeFormer",
            arch=dict(embed_dims=(8, 16, 32, 40), num_heads=8),
            out_indices=(1, 2, 3, 4),
        ),
        neck=dict(
            type="spikevision.SpikingFPN",
            **{"in_channels": [8, 16, 32, 40], "out_channels": 8, **neck},
        ),
        rpn_head=dict(
            type="spikevision.SpikingRPNHead",
            in_channels=8,
            anchor_generator=dict(
                type="AnchorGenerator", scales=[8], ratios=[1.0], strides=list(anchors)
            ),
        ),
        roi_head=dict(
            type="spikevision.SpikingStandardRoIHead",
            bbox_roi_extractor=extractor(list(boxes)),
            bbox_head=dict(type="spikevision.SpikingBBoxHead", in_channels=8, fc_out_channels=16),
            mask_roi_extractor=extractor(list(masks)),
            mask_head=dict(type="spikevision.SpikingMaskHead", in_channels=8, conv_out_channels=8),
        ),
        train_cfg=None,
        test_cfg=dict(rpn=dict(), rcnn=dict()),
    )


def one_stage(kind, strides):
    head = dict(num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1)
    if kind == "RetinaNet":
        anchors = dict(type="AnchorGenerator", scales=[4], ratios=[1.0], strides=strides)
        head |= dict(type="spikevision.SpikingRetinaHead", anchor_generator=anchors)
    else:
        head |= dict(type="spikevision.SpikingFCOSHead", strides=strides)
    config = two_stage(f"spikevision.{kind}")
    return {key: config[key] for key in ("type", "backbone", "neck")} | dict(bbox_head=head)


def build(config):
    with torch.device("meta"):
        return MODELS.build(ConfigDict(config))


def test_a_detector_on_true_strides_is_mmdets_own():
    assert type(build(two_stage())) is detectors.MaskRCNN


def test_anchors_as_in_the_published_code_are_an_error():
    with pytest.raises(
        ValueError,
        match=r"rpn_head.prior_generator stands on strides \[4, 8, 16, 32, 64\], but the feature maps have "
        r"\[4, 8, 16, 16, 32\]: set it to \[4, 8, 16, 16, 32\]",
    ):
        build(two_stage(anchors=[4, 8, 16, 32, 64]))


@pytest.mark.parametrize("part", ["boxes", "masks"])
def test_roi_extractors_as_in_the_published_code_are_an_error(part):
    name = {"boxes": "bbox", "masks": "mask"}[part]
    with pytest.raises(
        ValueError,
        match=rf"roi_head.{name}_roi_extractor stands on strides \[4, 8, 16, 32\].*to \[4, 8, 16, 16\]",
    ):
        build(two_stage(**{part: [4, 8, 16, 32]}))


def test_every_stage_of_a_cascade_is_checked():
    config = two_stage("spikevision.CascadeRCNN")
    head = config["roi_head"]
    head |= dict(
        type="spikevision.SpikingCascadeRoIHead",
        num_stages=2,
        stage_loss_weights=[1, 0.5],
        bbox_head=[head["bbox_head"]] * 2,
        bbox_roi_extractor=[extractor([4, 8, 16, 16]), extractor([4, 8, 16, 32])],
    )
    with pytest.raises(ValueError, match="bbox_roi_extractor stands on strides"):
        build(config)
    head["bbox_roi_extractor"] = extractor([4, 8, 16, 16])
    assert type(build(config)) is detectors.CascadeRCNN


@pytest.mark.parametrize("kind", ["RetinaNet", "FCOS"])
def test_single_stage_detectors_are_checked(kind):
    assert type(build(one_stage(kind, STRIDES))) is getattr(detectors, kind)
    with pytest.raises(
        ValueError, match=r"bbox_head.prior_generator stands on strides \[8, 16, 32, 64, 128\]"
    ):
        build(one_stage(kind, [8, 16, 32, 64, 128]))


def test_a_neck_for_another_backbone_is_an_error():
    with pytest.raises(
        ValueError, match=r"in_channels=\[64, 128, 256, 360\], the backbone gives \[8, 16, 32, 40\]"
    ):
        build(two_stage(in_channels=[64, 128, 256, 360]))


def test_levels_without_anchors_are_an_error():
    with pytest.raises(ValueError, match=r"feature maps have \[4, 8, 16, 16\]"):
        build(two_stage(num_outs=4))


def test_a_backbone_that_declares_no_strides_is_named():
    config = two_stage()
    config["backbone"] = dict(type="ResNet", depth=18)
    with pytest.raises(ValueError, match="ResNet declares no feature_specs.*type='mmdet.MaskRCNN'"):
        build(config)
