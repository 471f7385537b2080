import math

import pytest
import torch
from mmcv.ops import RoIAlign, RoIPool, roi_align, roi_pool
from torch.autograd import gradcheck

ROIS = torch.tensor(
    [
        [0, 1.2, 1.3, 6.1, 7.7],
        [1, 0.0, 0.0, 3.0, 3.0],
        [1, -2.0, 3.0, 4.0, 9.5],  # sticks out to the left
        [0, 7.0, 5.0, 14.0, 16.0],  # sticks out to the lower right
        [0, 2.0, 2.0, 2.4, 2.2],  # smaller than a pixel
    ],
    dtype=torch.float64,
)


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 8, 9, dtype=torch.float64, generator=generator)


def slow_bilinear(plane, y, x):
    """Value at a point between four pixels; up to one pixel outside the border's value, beyond it zero."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
    lower = plane[bottom, left] * (1 - dx) + plane[bottom, right] * dx
    return float(upper * (1 - dy) + lower * dy)


def slow_roi_align(input, rois, size, scale, ratio, mode, aligned):
    out = torch.zeros(len(rois), input.size(1), *size, dtype=torch.float64)
    shift = 0.5 if aligned else 0.0
    for r, roi in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (v * scale - shift for v in roi[1:])
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1), max(height, 1)
        bin_h, bin_w = height / size[0], width / size[1]
        rows, columns = (ratio, ratio) if ratio else (math.ceil(bin_h), math.ceil(bin_w))
        for c in range(input.size(1)):
            for i in range(size[0]):
                for j in range(size[1]):
                    samples = [
                        slow_bilinear(
                            input[int(roi[0]), c],
                            y1 + (i + (a + 0.5) / rows) * bin_h,
                            x1 + (j + (b + 0.5) / columns) * bin_w,
                        )
                        for a in range(rows)
                        for b in range(columns)
                    ]
                    out[r, c, i, j] = max(samples) if mode == "max" else sum(samples) / len(samples)
    return out


def slow_roi_pool(input, rois, size, scale):
    out = torch.zeros(len(rois), input.size(1), *size, dtype=torch.float64)
    for r, roi in enumerate(rois.tolist()):
        x1, y1 = roi[1] * scale, roi[2] * scale
        x2, y2 = (roi[3] + 1) * scale, (roi[4] + 1) * scale
        bin_h, bin_w = (y2 - y1) / size[0], (x2 - x1) / size[1]
        for c in range(input.size(1)):
            for i in range(size[0]):
                for j in range(size[1]):
                    inside = [
                        float(input[int(roi[0]), c, y, x])
                        for y in range(input.size(2))
                        for x in range(input.size(3))
                        if math.floor(y1 + i * bin_h) <= y < math.ceil(y1 + (i + 1) * bin_h)
                        and math.floor(x1 + j * bin_w) <= x < math.ceil(x1 + (j + 1) * bin_w)
                    ]
                    out[r, c, i, j] = max(inside, default=0.0)
    return out


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_roi_align_equals_the_slow_loop(mode, ratio, aligned, scale):
    expected = slow_roi_align(features(), ROIS, (2, 3), scale, ratio, mode, aligned)
    found = roi_align(features(), ROIS, (2, 3), scale, ratio, mode, aligned)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_gradient_is_that_of_finite_differences(mode, ratio):
    layer = RoIAlign((2, 3), 0.7, ratio, mode, aligned=True)
    assert gradcheck(lambda x: layer(x, ROIS), (features()[:, :1].requires_grad_(),))


def test_roi_align_by_maximum_of_a_constant_map_is_the_constant():
    rois = torch.tensor([[0, 2.0, 2.0, 6.0, 6.0]])
    found = roi_align(torch.full((1, 2, 8, 8), 3.0), rois, (2, 2), 1.0, 0, "max", True)
    assert torch.equal(found, torch.full((1, 2, 2, 2), 3.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_roi_align_in_half_precision_keeps_its_type(dtype):
    half = features().to(dtype)
    found = roi_align(half.requires_grad_(), ROIS.float(), (2, 2))
    expected = roi_align(half.detach().double(), ROIS, (2, 2))
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=1e-2, atol=1e-2)
    found.sum().backward()
    assert half.grad.dtype == dtype


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_no_rois_give_no_features_and_a_gradient_of_zero(mode):
    x = features().requires_grad_()
    found = roi_align(x, torch.zeros(0, 5, dtype=torch.float64), (7, 7), 1.0, 0, mode)
    pooled = roi_pool(x, torch.zeros(0, 5, dtype=torch.float64), (7, 7))
    assert found.shape == pooled.shape == (0, 3, 7, 7)
    (found.sum() + pooled.sum()).backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("scale", [1.0, 0.7, 0.25])
def test_roi_pool_equals_the_slow_loop(scale):
    found = roi_pool(features(), ROIS, (2, 3), scale)
    assert torch.equal(found, slow_roi_pool(features(), ROIS, (2, 3), scale))


def test_roi_pool_of_a_region_outside_the_map_is_zero_and_has_no_gradient():
    x = features().requires_grad_()
    found = roi_pool(
        x, torch.tensor([[0, 50.0, 50, 60, 60], [0, 5, 5, 1, 1]], dtype=torch.float64), 2
    )
    found.sum().backward()
    assert torch.equal(found, torch.zeros_like(found))
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_roi_pool_gradient_is_that_of_finite_differences():
    layer = RoIPool((2, 3), 0.7)
    assert gradcheck(lambda x: layer(x, ROIS), (features()[:, :1].requires_grad_(),))


def test_roi_pool_of_equal_values_gives_its_gradient_to_the_first_in_reading_order():
    x = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]], requires_grad=True)
    roi_pool(x, torch.tensor([[0.0, 0, 0, 1, 1]]), 1).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]))
