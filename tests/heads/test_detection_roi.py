import pytest
import torch
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from spikevision.heads.detection import (
    SpikingBBoxHead,
    SpikingMaskHead,
    SpikingRoIExtractor,
    SpikingStandardRoIHead,
)
from spikevision.neurons import LIF

LAYER = dict(type="RoIAlign", output_size=7, sampling_ratio=0)
ROIS = torch.tensor(
    [
        [0, 3.0, 4.0, 20.0, 30.0],  # level 0
        [1, 0.0, 0.0, 127.0, 120.0],  # level 1
        [1, 60.5, 20.25, 70.75, 90.0],  # level 0
        [2, -10.0, 40.0, 140.0, 200.0],  # level 1, beyond the image
        [0, 5.0, 5.0, 5.0, 5.0],  # no area
    ],
    dtype=torch.float64,
)


def extractors(strides=(4, 8), **settings):
    common = dict(roi_layer=LAYER, out_channels=6, featmap_strides=list(strides), **settings)
    return SpikingRoIExtractor(**common), SingleRoIExtractor(**common)


def maps(time_steps=4, images=3, sizes=(32, 16)):
    torch.manual_seed(0)
    return tuple(torch.randn(time_steps, images, 6, s, s, dtype=torch.float64) for s in sizes)


@pytest.mark.parametrize("factor", [None, 1.25])
def test_extractor_equals_mmdets_own_run_step_by_step(factor):
    spiking, stock = extractors()
    pooled = spiking(maps(), ROIS, factor)
    expected = torch.stack([stock(step, ROIS, factor) for step in zip(*maps(), strict=True)])
    assert torch.equal(pooled, expected)
    assert pooled.shape == (4, 5, 6, 7, 7)


def test_extractor_of_one_level_equals_mmdets_own_run_step_by_step():
    spiking, stock = extractors(strides=(8,))
    feats = maps(sizes=(16,))
    expected = torch.stack([stock(step, ROIS) for step in zip(*feats, strict=True)])
    assert torch.equal(spiking(feats, ROIS), expected)


def test_each_level_is_pooled_in_one_call_however_many_time_steps_there_are():
    spiking, _ = extractors()
    calls = []
    for layer in spiking.roi_layers:
        layer.register_forward_hook(lambda module, args, output: calls.append(len(args[1])))
    spiking(maps(time_steps=7), ROIS)
    assert calls == [7 * 3, 7 * 2]  # three regions are small, two are large


def test_gradients_of_the_extractor_equal_those_of_mmdets_own():
    spiking, stock = extractors()
    feats = [x.requires_grad_() for x in maps(time_steps=2)]
    weight = torch.randn(2, 5, 6, 7, 7, dtype=torch.float64)
    grads = torch.autograd.grad((spiking(feats, ROIS) * weight).sum(), feats)
    expected = torch.stack([stock(step, ROIS) for step in zip(*feats, strict=True)])
    reference = torch.autograd.grad((expected * weight).sum(), feats)
    for grad, other in zip(grads, reference, strict=True):
        torch.testing.assert_close(grad, other)


def test_extractor_without_regions_answers_with_none_and_stays_in_the_graph():
    spiking, _ = extractors()
    feats = [x.requires_grad_() for x in maps()]
    pooled = spiking(feats, ROIS[:0])
    assert pooled.shape == (4, 0, 6, 7, 7)
    grads = torch.autograd.grad(pooled.sum(), feats)
    assert all(grad.abs().max() == 0 for grad in grads)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_maps_do_not_round_the_boxes(dtype):
    spiking, _ = extractors(strides=(4,))
    # a ramp along x: what is pooled is where the box stands
    ramp = torch.arange(256, dtype=torch.float32).expand(1, 1, 6, 4, 256)
    rois = torch.tensor([[0, 801.0, 0.0, 815.0, 14.0]])
    exact = spiking((ramp,), rois)
    assert torch.equal(spiking((ramp.to(dtype),), rois), exact)  # 0..255 are exact in both
    assert exact.dtype == torch.float32


def box_head(**settings):
    torch.manual_seed(0)
    head = SpikingBBoxHead(
        in_channels=6, fc_out_channels=16, roi_feat_size=7, num_classes=3, **settings
    )
    head.init_weights()
    return head.double()


def regions(time_steps=3, regions=4, size=7):
    torch.manual_seed(1)
    return 3 * torch.randn(time_steps, regions, 6, size, size, dtype=torch.float64)


def test_box_head_averages_over_time_what_linear_layers_make_of_spikes():
    head, x = box_head(), regions()
    first, second = (block.layer for block in head.shared_fcs)
    hidden = torch.stack([first(s.flatten(1)) for s in LIF()(x)])
    hidden = torch.stack([second(s) for s in LIF()(hidden)])
    spikes = LIF()(hidden)
    scores, boxes = head(x)
    torch.testing.assert_close(scores, sum(head.fc_cls(s) for s in spikes) / 3)
    torch.testing.assert_close(boxes, sum(head.fc_reg(s) for s in spikes) / 3)
    assert scores.shape == (4, 4)
    assert boxes.shape == (4, 12)


def test_published_box_head_shows_membrane_potentials_to_its_last_layers():
    x = regions()
    spiking, published = box_head(), box_head(form="published")
    published.load_state_dict(spiking.state_dict())  # the same parameters
    hidden = x
    for block in published.shared_fcs:
        hidden = block(hidden.flatten(2))
    torch.testing.assert_close(published(x)[0], published.fc_cls(hidden).mean(0))
    assert not torch.allclose(published(x)[0], spiking(x)[0])
    with pytest.raises(ValueError, match="form is 'spiking' or 'published', got 'hybrid'"):
        box_head(form="hybrid")


def mask_head(**settings):
    torch.manual_seed(0)
    head = SpikingMaskHead(
        num_convs=2, in_channels=6, conv_out_channels=8, num_classes=3, **settings
    )
    head.init_weights()
    return head.double()


def test_mask_head_averages_over_time_what_convolutions_make_of_spikes():
    head, x = mask_head(), regions(size=5)
    for block in (*head.convs, head.upsample):
        x = torch.stack([block.layer(s) for s in LIF()(x)])
    expected = torch.stack([head.conv_logits.layer(s) for s in LIF()(x)]).mean(0)
    masks = head(regions(size=5))
    torch.testing.assert_close(masks, expected)
    assert masks.shape == (4, 3, 10, 10)


@pytest.mark.parametrize(
    "kind", ["box", "box with norm", "published box", "mask", "mask with norm"]
)
def test_every_weight_layer_is_driven_by_spikes_and_every_parameter_gets_a_gradient(kind):
    head = {
        "box": lambda: box_head(),
        "box with norm": lambda: box_head(norm_cfg=dict(type="BN1d")),
        "published box": lambda: box_head(form="published"),
        "mask": lambda: mask_head(),
        "mask with norm": lambda: mask_head(norm_cfg=dict(type="BN")),
    }[kind]()
    inputs = {}
    for name, module in head.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            module.register_forward_pre_hook(
                lambda module, args, name=name: inputs.update(
                    {name: set(args[0].unique().tolist())}
                )
            )
    outputs = head(regions(regions=16))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.square().sum() for output in outputs).backward()
    driven_by_reals = [name for name, values in inputs.items() if not values <= {0.0, 1.0}]
    assert driven_by_reals == (["fc_cls", "fc_reg"] if kind == "published box" else [])
    assert [
        n for n, p in head.named_parameters() if p.grad is None or p.grad.abs().max() == 0
    ] == []


@pytest.mark.parametrize("norm", [False, True])
def test_heads_answer_with_nothing_where_there_are_no_regions(norm):
    box = box_head(norm_cfg=dict(type="BN1d") if norm else None)
    mask = mask_head(norm_cfg=dict(type="BN") if norm else None)
    outputs = (*box(regions(regions=0)), mask(regions(regions=0)))
    assert [tuple(x.shape) for x in outputs] == [(0, 4), (0, 12), (0, 3, 14, 14)]
    sum(x.sum() for x in outputs).backward()
    for head in (box, mask):  # as DDP without unused parameters asks for
        assert all(p.grad is not None for p in head.parameters())
        assert all(b.isfinite().all() for b in head.buffers())


def test_mask_heads_that_upsample_without_weights_are_refused():
    with pytest.raises(ValueError, match="must be of type 'deconv', got 'nearest'"):
        mask_head(upsample_cfg=dict(type="nearest", scale_factor=2))


def test_a_mask_head_that_shares_the_box_features_is_refused():
    with pytest.raises(ValueError, match="needs its own mask_roi_extractor"):
        SpikingStandardRoIHead(
            mask_roi_extractor=None, mask_head=dict(type="spikevision.SpikingMaskHead")
        )
