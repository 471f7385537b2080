import pytest
import torch
from torch import nn
from torch.nn import functional as F

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.models.dense_heads import FCOSHead, RetinaHead, RPNHead
from mmengine.config import ConfigDict

from spikevision.heads.detection import SpikingFCOSHead, SpikingRetinaHead, SpikingRPNHead
from spikevision.neurons import LIF

ANCHORS = dict(type="AnchorGenerator", scales=[8], ratios=[0.5, 1.0], strides=[8, 16])
LOSS = dict(type="FocalLoss", use_sigmoid=True)
SIZES = ((6, 5), (3, 2))


def build(kind, **settings):
    torch.manual_seed(0)
    common = dict(in_channels=4, feat_channels=5, train_cfg=None, test_cfg=ConfigDict())
    head = {
        "rpn": lambda: SpikingRPNHead(
            **common,
            anchor_generator=ANCHORS,
            loss_cls=dict(LOSS, type="CrossEntropyLoss"),
            **settings,
        ),
        "retina": lambda: SpikingRetinaHead(
            num_classes=3,
            **common,
            anchor_generator=ANCHORS,
            stacked_convs=2,
            loss_cls=LOSS,
            **settings,
        ),
        "fcos": lambda: SpikingFCOSHead(
            num_classes=3,
            **common,
            stacked_convs=2,
            strides=[8, 16],
            regress_ranges=((-1, 64), (64, 1e8)),
            **settings,
        ),
    }[kind]()
    head.init_weights()
    return head.double()


def maps(time_steps=3, images=2):
    torch.manual_seed(1)
    return tuple(
        3 * torch.randn(time_steps, images, 4, *size, dtype=torch.float64) for size in SIZES
    )


def conv(block, spikes):
    """One time step of a block's weights on spikes."""
    return F.conv2d(spikes, block.layer.weight, block.layer.bias, padding=block.layer.padding)


def steps(block, x):
    return torch.stack([conv(block, spikes) for spikes in LIF()(x)])


def test_rpn_averages_over_time_what_stock_convolutions_make_of_spikes():
    head = build("rpn")
    for x, scores, boxes in zip(maps(), *head(maps()), strict=True):
        hidden = steps(head.rpn_conv[0], x)
        torch.testing.assert_close(scores, steps(head.rpn_cls, hidden).mean(0))
        torch.testing.assert_close(boxes, steps(head.rpn_reg, hidden).mean(0))
        assert scores.shape == (2, 2, *x.shape[-2:])
        assert boxes.shape == (2, 8, *x.shape[-2:])


def test_a_negative_current_holds_the_next_layer_of_the_rpn_back():
    # mmdet's ReLU between the layers would let the neuron forget that it was inhibited
    head = build("rpn")
    hidden = (
        torch.tensor([-4.0, 2.5], dtype=torch.float64).view(2, 1, 1, 1, 1).expand(2, 1, 5, 1, 1)
    )
    head.rpn_conv = nn.Identity()
    inhibited = head.forward_single(hidden)[0]
    relieved = head.forward_single(hidden.relu())[0]
    torch.testing.assert_close(inhibited, head.rpn_cls.layer.bias.view(1, -1, 1, 1))
    assert not torch.allclose(inhibited, relieved)


def test_towers_average_over_time_what_stock_convolutions_make_of_spikes():
    head = build("retina")
    for x, scores, boxes in zip(maps(), *head(maps()), strict=True):
        cls, reg = x, x
        for cls_block, reg_block in zip(head.cls_convs, head.reg_convs, strict=True):
            cls, reg = steps(cls_block, cls), steps(reg_block, reg)
        torch.testing.assert_close(scores, steps(head.retina_cls, cls).mean(0))
        torch.testing.assert_close(boxes, steps(head.retina_reg, reg).mean(0))


@pytest.mark.parametrize("on_reg", [False, True])
def test_fcos_averages_logits_before_scale_and_exponential(on_reg):
    head = build("fcos", centerness_on_reg=on_reg)
    with torch.no_grad():
        head.scales[1].scale.fill_(0.5)
    outputs = head(maps())
    for x, scale, scores, distances, centers in zip(maps(), (1.0, 0.5), *outputs, strict=True):
        cls, reg = x, x
        for cls_block, reg_block in zip(head.cls_convs, head.reg_convs, strict=True):
            cls, reg = steps(cls_block, cls), steps(reg_block, reg)
        torch.testing.assert_close(scores, steps(head.conv_cls, cls).mean(0))
        expected = (steps(head.conv_reg, reg).mean(0) * scale).float().exp()
        torch.testing.assert_close(distances, expected)
        torch.testing.assert_close(
            centers, steps(head.conv_centerness, reg if on_reg else cls).mean(0)
        )


@pytest.mark.parametrize(
    ("kind", "stock"), [("rpn", RPNHead), ("retina", RetinaHead), ("fcos", FCOSHead)]
)
def test_parameters_are_those_of_the_stock_head(kind, stock):
    head = build(kind)
    shapes = sorted(tuple(p.shape) for p in head.parameters())
    reference = stock.__new__(stock)
    settings = dict(in_channels=4, feat_channels=5, test_cfg=ConfigDict())
    if kind != "rpn":
        settings |= dict(num_classes=3, stacked_convs=2)
    if kind == "fcos":
        settings |= dict(strides=[8, 16], norm_cfg=None)
    else:
        settings |= dict(anchor_generator=ANCHORS, loss_cls=dict(LOSS, type="CrossEntropyLoss"))
    reference.__init__(**settings)
    assert shapes == sorted(tuple(p.shape) for p in reference.parameters())


@pytest.mark.parametrize("kind", ["rpn", "retina", "fcos"])
def test_every_weight_layer_is_driven_by_spikes_and_every_parameter_gets_a_gradient(kind):
    head = build(kind, **(dict(norm_cfg=dict(type="GN", num_groups=1)) if kind != "rpn" else {}))
    inputs = []
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(
                lambda module, args: inputs.append(args[0].unique().tolist())
            )
    sum(output.sum() for level in head(maps()) for output in level).backward()
    assert len(inputs) == 2 * sum(isinstance(m, nn.Conv2d) for m in head.modules())
    assert all(set(values) <= {0.0, 1.0} for values in inputs)
    assert [
        n for n, p in head.named_parameters() if p.grad is None or p.grad.abs().max() == 0
    ] == []


@pytest.mark.parametrize(("kind", "layer"), [("retina", "retina_cls"), ("fcos", "conv_cls")])
def test_class_logits_start_at_the_prior_of_focal_loss(kind, layer):
    bias = getattr(build(kind), layer).layer.bias
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.01))


def test_an_rpn_of_two_convolutions_has_a_neuron_before_each():
    head = build("rpn", num_convs=2)
    assert [type(block.neuron) for block in head.rpn_conv] == [LIF, LIF]
    assert head(maps())[0][0].shape == (2, 2, 6, 5)
