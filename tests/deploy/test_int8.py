import pytest
import torch
from torch import nn

from spikevision.deploy.int8 import Int8Conv2d, VnniConv2d, dequantised, quantise_


def conv(**kwargs) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(8, 6, 3, padding=1, **kwargs).requires_grad_(False)


def test_weights_are_the_nearest_of_255_steps_of_each_output_channel():
    one = nn.Conv2d(1, 2, (1, 3), bias=False).requires_grad_(False)
    one.weight.copy_(torch.tensor([[1.27, -0.014, 0.016], [0.0, 0.0, 0.0]]).view(2, 1, 1, 3))
    small = Int8Conv2d(one)
    assert small.weight.flatten().tolist() == [127, -1, 2, 0, 0, 0]
    torch.testing.assert_close(small.scale, torch.tensor([0.01, 1.0]))


@pytest.mark.parametrize("stride", [1, 2])
def test_plain_fast_and_dequantised_forms_agree_on_whole_numbers(stride):
    small = Int8Conv2d(conv(stride=stride))
    x = torch.randint(0, 129, (2, 8, 5, 7)).float()
    expected = dequantised(small).double()(x.double()).float()
    for form in (small, VnniConv2d(small), dequantised(small)):
        torch.testing.assert_close(form(x), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("value", [129.0, 256.0, 300.0, -1.0, 0.5])
def test_what_eight_bits_do_not_hold_is_computed_in_floating_point(value):
    """256 as a byte is 0, and -1 is 255."""
    small = Int8Conv2d(conv())
    x = torch.ones(1, 8, 5, 7)
    x[0, 3, 2, 2] = value
    assert torch.equal(VnniConv2d(small)(x), small(x))


def test_every_convolution_is_replaced_and_the_answer_stays_close():
    model = nn.Sequential(conv(), nn.Sequential(nn.Conv2d(6, 4, 1, groups=2)))
    model = model.requires_grad_(False)
    x = torch.rand(2, 8, 5, 5)
    expected = model(x)
    assert not [m for m in quantise_(model).modules() if isinstance(m, nn.Conv2d)]
    assert (model(x) - expected).abs().max() < 0.02 * expected.abs().max()
