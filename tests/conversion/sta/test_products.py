"""Products of two streams: the estimation and correction of the paper, and what is encoded before a weight layer."""

import pytest
import torch
from streams import Call, assert_exact_on_means, random_steps, running_means
from torch import nn

from spikevision.conversion import STAConfig, convert


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 5)]),
        (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
        (lambda a, b: a * b, [(2, 3), (2, 3)]),
        (lambda a, b: torch.einsum("bqc,bchw->bqhw", a, b), [(2, 3, 4), (2, 4, 2, 2)]),
        (lambda a: torch.ones(2, 4).double() @ a, [(4, 3)]),
        (lambda a: a * a, [(4, 3)]),
    ],
)
def test_product_of_streams_is_the_product_of_the_means(function, shapes):
    assert_exact_on_means(Call(function), *shapes, atol=1e-12)


def test_each_step_is_the_published_estimation_and_correction():
    inputs = random_steps((3, 4), (4, 5), steps=8)
    a_sum, b_sum, c, before, total = 0, torch.zeros(4, 5).double(), 0, 0, 0
    found = running_means(Call(torch.matmul), inputs)
    for t, ((a, b), (_, mean)) in enumerate(zip(inputs, found, strict=True), 1):
        a_sum = a_sum + a
        c = c + a_sum @ b + a @ b_sum  # estimate
        b_sum = b_sum + b
        total = total + c / t - before  # correct
        before = c / t
        torch.testing.assert_close(mean, total / t, rtol=0, atol=1e-12)


def populations(model, x, **kwargs):
    return [p.name for p in convert(model.eval(), [x], STAConfig(**kwargs)).report.populations]


def test_a_weight_layer_is_driven_by_spikes_unless_its_input_is_the_image():
    layers = [nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4)]
    names = populations(nn.Sequential(*layers), torch.randn(2, 4))
    assert names == ["2.spiking_relu_output", "4.spiking_linear_input"]


def test_factors_are_spikes_where_the_preset_wants_it():
    layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, norm_first=True)
    plain, encoded = (
        populations(layer, torch.randn(2, 3, 8), preset=preset) for preset in ("sta", "ecmt")
    )
    factors = {name.rpartition("_")[2] for name in set(encoded) - set(plain)}
    assert {"query", "key", "value"} <= factors
