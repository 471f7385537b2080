"""The simple feature pyramid against its definition, written out."""

import pytest
import torch
from torch.nn import functional as F

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.layers import FeatureSpec
from spikevision.necks import SimpleFeaturePyramid
from spikevision.registry import MODELS


@pytest.fixture(scope="module")
def neck():
    torch.manual_seed(0)
    return MODELS.build(
        {"type": "spikevision.SimpleFeaturePyramid", "in_channels": 8, "out_channels": 6}
    )


def layer_norm(x, norm):
    """Over the channels of each pixel."""
    mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    scale = norm.weight[:, None, None]
    return (x - mean) / (var + norm.eps).sqrt() * scale + norm.bias[:, None, None]


def output(x, block):
    one, three = block
    x = layer_norm(F.conv2d(x, one.conv.weight), one.norm)
    return layer_norm(F.conv2d(x, three.conv.weight, padding=1), three.norm)


def test_each_level_is_made_of_the_last_map_alone(neck):
    x = torch.randn(2, 8, 6, 4)
    first, norm, _, second = neck.resizes[0]
    four = F.conv_transpose2d(x, first.weight, first.bias, stride=2)
    four = F.conv_transpose2d(F.gelu(layer_norm(four, norm)), second.weight, second.bias, stride=2)
    two = F.conv_transpose2d(x, neck.resizes[1].weight, neck.resizes[1].bias, stride=2)
    half = F.max_pool2d(x, 2)
    wanted = [
        output(level, block)
        for level, block in zip((four, two, x, half), neck.outputs, strict=True)
    ]
    wanted.append(wanted[-1][..., ::2, ::2])
    for found, level in zip(neck((torch.randn(1), x)), wanted, strict=True):
        torch.testing.assert_close(found, level, rtol=1e-4, atol=1e-5)


def test_strides_are_the_true_ones(neck):
    specs = neck.feature_specs([FeatureSpec(8, 16)])
    assert specs == tuple(FeatureSpec(6, stride) for stride in (4, 8, 16, 32, 64))
    assert [256 // level.shape[-1] for level in neck((torch.randn(1, 8, 16, 16),))] == [
        4, 8, 16, 32, 64,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scales": (1, 2)}, "scales must fall"),
        ({"scales": (3,)}, "scales must fall"),
        ({"num_outs": 3}, "num_outs=3 is less than the 4 scales"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(given, message):
    with pytest.raises(ValueError, match=message):
        SimpleFeaturePyramid(8, **given)


def test_maps_and_backbones_that_do_not_fit_are_an_error(neck):
    with pytest.raises(ValueError, match=r"\[N, 8, H, W\], got \[1, 5, 8\].*out_type='featmap'"):
        neck((torch.randn(1, 5, 8),))
    with pytest.raises(ValueError, match="in_channels=8, the backbone gives 4"):
        neck.feature_specs([FeatureSpec(4, 16)])
    with pytest.raises(ValueError, match="do not divide the stride of 2"):
        neck.feature_specs([FeatureSpec(8, 2)])
