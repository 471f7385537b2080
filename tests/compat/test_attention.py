import math

import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch.autograd import gradcheck

SHAPES = [(3, 4), (2, 2)]


def tensors():
    generator = torch.Generator().manual_seed(0)
    batch, heads, width, queries, points = 2, 2, 3, 2, 2
    length = sum(h * w for h, w in SHAPES)
    value = torch.randn(batch, length, heads, width, generator=generator, dtype=torch.float64)
    shape = (batch, queries, heads, len(SHAPES), points)
    places = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 1.4 - 0.2
    weights = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return value, places, weights


def run(value, places, weights):
    shapes = torch.tensor(SHAPES)
    start = torch.tensor([0, SHAPES[0][0] * SHAPES[0][1]])
    return MultiScaleDeformableAttnFunction.apply(value, shapes, start, places, weights, 64)


def slow_attention(value, places, weights):
    batch, queries, heads, levels, points = weights.shape
    out = torch.zeros(batch, queries, heads, value.size(-1), dtype=torch.float64)
    start = 0
    for level, (height, width) in enumerate(SHAPES):
        plane = value[:, start : start + height * width].reshape(batch, height, width, heads, -1)
        start += height * width
        for n in range(batch):
            for q in range(queries):
                for m in range(heads):
                    for p in range(points):
                        x = float(places[n, q, m, level, p, 0]) * width - 0.5
                        y = float(places[n, q, m, level, p, 1]) * height - 0.5
                        for row in (math.floor(y), math.floor(y) + 1):
                            for column in (math.floor(x), math.floor(x) + 1):
                                if 0 <= row < height and 0 <= column < width:
                                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                                    weight = weights[n, q, m, level, p] * share
                                    out[n, q, m] += weight * plane[n, row, column, m]
    return out.flatten(2)


def test_attention_equals_the_slow_loop():
    torch.testing.assert_close(run(*tensors()), slow_attention(*tensors()), rtol=1e-11, atol=1e-12)


def test_attention_gradients_are_those_of_finite_differences():
    assert gradcheck(run, [tensor.requires_grad_() for tensor in tensors()])
