import pytest
import torch
from torch.nn import functional as F

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.layers import FeatureSpec
from spikevision.necks import SpikingFPN
from spikevision.registry import MODELS

CHANNELS = (4, 6, 8, 8)
SIZES = ((16, 12), (8, 6), (4, 3), (4, 3))


def maps(time_steps=3, images=2, sizes=SIZES, channels=CHANNELS):
    torch.manual_seed(0)
    return tuple(
        3 * torch.randn(time_steps, images, c, *size, dtype=torch.float64)
        for c, size in zip(channels, sizes, strict=True)
    )


def build(**settings):
    torch.manual_seed(1)
    neck = SpikingFPN(**{"in_channels": CHANNELS, "out_channels": 5, **settings})
    neck.init_weights()
    return neck.double()


class LIFByHand:
    """Published LIF, one step at a time, with a state per neuron of the neck."""

    def __init__(self):
        self.v = {}

    def __call__(self, name, x):
        h = self.v.get(name, torch.zeros_like(x))
        h = h + (x - h) / 2
        spikes = (h >= 1).to(x)
        self.v[name] = h * (1 - spikes)
        return spikes


def pyramid_by_hand(neck, inputs):
    """The definition, one time step after the other, on plain 4-D convolutions."""
    lif, steps = LIFByHand(), []
    for step in zip(*inputs, strict=True):
        laterals = [
            F.conv2d(lif(("lateral", i), x), block.layer.weight, block.layer.bias)
            for i, (block, x) in enumerate(zip(neck.laterals, step, strict=True))
        ]
        for i in (3, 2, 1):
            laterals[i - 1] = laterals[i - 1] + F.interpolate(
                laterals[i], size=laterals[i - 1].shape[-2:], mode="nearest"
            )
        outputs = [
            F.conv2d(lif(("output", i), x), block.layer.weight, block.layer.bias, padding=1)
            for i, (block, x) in enumerate(zip(neck.outputs, laterals, strict=True))
        ]
        outputs.append(F.max_pool2d(outputs[-1], 1, stride=2))
        outputs.append(F.max_pool2d(outputs[-1], 1, stride=2))
        steps.append(outputs)
    return [torch.stack(level) for level in zip(*steps, strict=True)]


def test_pyramid_equals_its_definition_step_by_step():
    neck, inputs = build(num_outs=6), maps()
    outputs = neck(inputs)
    assert len(outputs) == 6
    for output, expected in zip(outputs, pyramid_by_hand(neck, inputs), strict=True):
        torch.testing.assert_close(output, expected)
        assert expected.std() > 0


def test_sizes_that_do_not_halve_exactly_are_added_at_the_finer_size():
    sizes = ((7, 9), (4, 5), (2, 3), (2, 3))
    neck, inputs = build(num_outs=6), maps(sizes=sizes)
    for output, expected in zip(neck(inputs), pyramid_by_hand(neck, inputs), strict=True):
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize(
    ("source", "first_in"), [("on_input", 8), ("on_lateral", 5), ("on_output", 5)]
)
def test_extra_levels_are_a_chain_of_strided_convolutions_from_their_source(source, first_in):
    neck, inputs = build(num_outs=6, extra_levels=source), maps()
    seen = []
    neck.extras[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    laterals = []
    neck.laterals[3].register_forward_hook(lambda module, args, output: laterals.append(output))
    outputs = neck(inputs)
    assert neck.extras[0].layer.in_channels == first_in
    expected = {"on_input": inputs[3], "on_lateral": laterals[0], "on_output": outputs[3]}[source]
    assert torch.equal(seen[0], expected)
    assert torch.equal(outputs[5], neck.extras[1](outputs[4]))
    assert [tuple(x.shape[-2:]) for x in outputs[3:]] == [(4, 3), (2, 2), (1, 1)]


@pytest.mark.parametrize("extra_levels", ["pool", "on_input"])
@pytest.mark.parametrize("norm_cfg", [None, dict(type="BN")])
def test_every_convolution_is_driven_by_spikes_and_every_parameter_gets_a_gradient(
    extra_levels, norm_cfg
):
    neck = build(num_outs=6, extra_levels=extra_levels, norm_cfg=norm_cfg)
    values = []
    for module in neck.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda module, args: values.append(args[0].unique()))
    loss = sum(output.square().mean() for output in neck(maps()))
    loss.backward()
    assert len(values) == len(neck.laterals) + len(neck.outputs) + len(neck.extras)
    assert all(set(v.tolist()) <= {0.0, 1.0} and len(v) == 2 for v in values)
    without = [n for n, p in neck.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert without == []


def test_start_level_leaves_finer_levels_out():
    neck, inputs = build(start_level=1, num_outs=3), maps()
    outputs = neck(inputs)
    assert [tuple(x.shape[-2:]) for x in outputs] == list(SIZES[1:])
    others = (torch.zeros_like(inputs[0]), *inputs[1:])
    assert all(torch.equal(a, b) for a, b in zip(outputs, neck(others), strict=True))


def test_published_neck_has_the_published_size():
    neck = MODELS.build(
        dict(
            type="spikevision.SpikingFPN",
            in_channels=[64, 128, 256, 360],
            out_channels=256,
            num_outs=5,
        )
    )
    # laterals (64 + 128 + 256 + 360) * 256 + 4 * 256, outputs 4 * (9 * 256 * 256 + 256)
    assert sum(p.numel() for p in neck.parameters()) == 207_872 + 2_360_320


def test_strides_of_the_outputs_follow_from_those_of_the_backbone():
    specs = [FeatureSpec(c, s) for c, s in zip(CHANNELS, (4, 8, 16, 16), strict=True)]
    assert build(num_outs=6).feature_specs(specs) == tuple(
        FeatureSpec(5, s) for s in (4, 8, 16, 16, 32, 64)
    )
    assert [s.stride for s in build(num_outs=4, start_level=1).feature_specs(specs)] == [
        8,
        16,
        16,
        32,
    ]
    with pytest.raises(
        ValueError, match=r"in_channels=\[4, 6, 8, 8\], the backbone gives \[4, 6, 8\]"
    ):
        build().feature_specs(specs[:3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(start_level=4), "start_level must be in 0..3, got 4"),
        (dict(num_outs=3), "num_outs=3 is less than the 4 levels"),
        (dict(extra_levels="on_inputs"), "unknown extra_levels 'on_inputs'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_maps_of_other_channels_or_number_are_refused():
    with pytest.raises(
        ValueError, match=r"expected maps of \[4, 6, 8, 8\] channels, got \[4, 6, 8\]"
    ):
        build()(maps()[:3])
