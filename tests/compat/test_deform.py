import itertools
import math

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
)
from torch.autograd import gradcheck
from torch.nn import functional as F

# (stride, padding, dilation, groups, deformable groups)
GEOMETRIES = [
    (1, 0, 1, 1, 1),
    (2, 1, 1, 1, 1),
    ((1, 2), (2, 1), (2, 1), 1, 1),
    (1, 1, 1, 2, 1),
    (2, 1, 2, 2, 2),
]
KERNEL = (3, 2)


def zero_padded_bilinear(plane, y, x):
    """Value at a point between four pixels, those outside counting as zero."""
    top, left = math.floor(y), math.floor(x)
    value = 0.0
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= row < plane.size(0) and 0 <= column < plane.size(1):
            value += float(plane[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def slow_deform_conv(input, offset, weight, mask, bias, geometry):
    """Equation 2 of the paper, one output at a time."""
    stride, padding, dilation, groups, deform_groups = geometry
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    out_channels, per_group, kh, kw = weight.shape
    batch, channels = input.shape[:2]
    height, width = offset.shape[2:]
    out = torch.zeros(batch, out_channels, height, width, dtype=torch.float64)
    for n, o, i, j in itertools.product(*map(range, out.shape)):
        total = 0.0 if bias is None else float(bias[o])
        first = o // (out_channels // groups) * per_group
        for c, a, b in itertools.product(range(per_group), range(kh), range(kw)):
            channel = first + c
            tap = channel // (channels // deform_groups) * kh * kw + a * kw + b
            y = i * sh - ph + a * dh + float(offset[n, 2 * tap, i, j])
            x = j * sw - pw + b * dw + float(offset[n, 2 * tap + 1, i, j])
            factor = 1.0 if mask is None else float(mask[n, tap, i, j])
            total += (
                float(weight[o, c, a, b]) * factor * zero_padded_bilinear(input[n, channel], y, x)
            )
        out[n, o, i, j] = total
    return out


def layer_and_tensors(kind, geometry, batch=2, channels=4, size=(6, 5), **kwargs):
    torch.manual_seed(0)
    stride, padding, dilation, groups, deform_groups = geometry
    layer = kind(
        channels, 4, KERNEL, stride, padding, dilation, groups, deform_groups, **kwargs
    ).double()
    out = F.conv2d(
        torch.zeros(1, channels, *size),
        torch.zeros(1, channels, *KERNEL),
        None,
        stride,
        padding,
        dilation,
    )
    taps = deform_groups * KERNEL[0] * KERNEL[1]
    input = torch.randn(batch, channels, *size, dtype=torch.float64)
    offset = 1.5 * torch.randn(batch, 2 * taps, *out.shape[2:], dtype=torch.float64)
    mask = torch.rand(batch, taps, *out.shape[2:], dtype=torch.float64)
    return layer, input, offset, mask


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_deform_conv_equals_the_slow_loop(geometry):
    layer, input, offset, _ = layer_and_tensors(DeformConv2d, geometry)
    expected = slow_deform_conv(input, offset, layer.weight, None, None, geometry)
    torch.testing.assert_close(layer(input, offset), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("bias", [True, False])
def test_modulated_deform_conv_equals_the_slow_loop(geometry, bias):
    layer, input, offset, mask = layer_and_tensors(ModulatedDeformConv2d, geometry, bias=bias)
    if bias:
        torch.nn.init.normal_(layer.bias)
    expected = slow_deform_conv(input, offset, layer.weight, mask, layer.bias, geometry)
    torch.testing.assert_close(layer(input, offset, mask), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("geometry", GEOMETRIES[1::3] + GEOMETRIES[2:3])
def test_deform_conv_gradients_are_those_of_finite_differences(geometry):
    layer, input, offset, _ = layer_and_tensors(DeformConv2d, geometry, size=(4, 3))

    def run(input, offset, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (input, offset))

    assert gradcheck(run, [t.detach().requires_grad_() for t in (input, offset, layer.weight)])


@pytest.mark.parametrize("geometry", GEOMETRIES[1::3])
def test_modulated_deform_conv_gradients_are_those_of_finite_differences(geometry):
    layer, input, offset, mask = layer_and_tensors(ModulatedDeformConv2d, geometry, size=(4, 3))

    def run(input, offset, mask, weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, (input, offset, mask))

    leaves = [t.detach().requires_grad_() for t in (input, offset, mask, layer.weight, layer.bias)]
    assert gradcheck(run, leaves)


def test_the_batch_split_of_mmcv_does_not_change_the_result():
    layer, input, offset, _ = layer_and_tensors(DeformConv2d, GEOMETRIES[0], batch=4)
    whole = layer(input, offset)
    layer.im2col_step = 2
    assert torch.equal(layer(input, offset), whole)
    layer.im2col_step = 3
    with pytest.raises(AssertionError, match="divisible by im2col_step"):
        layer(input, offset)


@pytest.mark.parametrize("kind", [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_packed_layers_start_as_an_ordinary_convolution(kind):
    # their offsets start at zero; DCNv2's masks start at sigmoid(0) = 1/2
    layer = kind(4, 6, 3, padding=1).double()
    input = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    share = 0.5 if kind is ModulatedDeformConv2dPack else 1.0
    expected = share * F.conv2d(input, layer.weight, padding=1)
    torch.testing.assert_close(layer(input), expected, rtol=1e-11, atol=1e-12)


def test_only_the_weight_needs_a_gradient_when_the_rest_is_frozen():
    layer, input, offset, _ = layer_and_tensors(DeformConv2d, GEOMETRIES[0])
    layer(input, offset).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    assert input.grad is None
