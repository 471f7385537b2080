import pytest
import torch
from torch import nn

from spikevision.layers import ConvBN, DepthwiseSeparableBN, RepConvBN, fold_, fuse_
from spikevision.layers.fuse import FUSIBLE


def randomise_(module: nn.Module) -> nn.Module:
    """Statistics and affine parameters far from their defaults, so that every term of a fusion counts."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return module.double().eval()


LAYERS = {
    "conv 1x1": lambda: ConvBN(6, 8),
    "conv 3x3 stride 2 with bias": lambda: ConvBN(6, 8, 3, stride=2, bias=True),
    "sep conv 7x7": lambda: DepthwiseSeparableBN(6, 8, 7),
    "rep conv": lambda: RepConvBN(6),
}


@torch.no_grad()
@pytest.mark.parametrize("simplify", [fuse_, fold_])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (9, 7)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_simpler_layer_equals_the_trained_form_at_borders_and_inside(name, size, simplify):
    torch.manual_seed(0)
    model = nn.Sequential(randomise_(LAYERS[name]())).eval()
    # constant, and large at the border: what a wrong padding would change most
    x = torch.ones(2, 3, 6, *size, dtype=torch.float64)
    x[..., 0, :] = 50
    x[..., :, -1] = -50
    expected = model(x)
    fused = simplify(model)
    assert not [m for m in fused.modules() if isinstance(m, (*FUSIBLE, nn.BatchNorm2d))]
    torch.testing.assert_close(
        fused(x), expected, rtol=1e-12, atol=1e-12 * expected.abs().max().item()
    )


@torch.no_grad()
def test_rep_conv_border_is_the_response_of_its_first_normalisation_to_zero():
    torch.manual_seed(0)
    layer = randomise_(RepConvBN(3))
    x = torch.randn(1, 2, 3, 4, 5, dtype=torch.float64)
    zero = layer.bn1(torch.zeros(2, 3, 1, 1, dtype=torch.float64))
    padded = zero.repeat(1, 1, 6, 7)
    padded[..., 1:-1, 1:-1] = layer.bn1(layer.pointwise1(x[0]))
    explicit = nn.functional.conv2d(padded, layer.depthwise.weight, groups=3)
    expected = layer.bn3(layer.bn2(layer.pointwise2(explicit)))
    torch.testing.assert_close(layer(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_fuse_can_be_limited_to_one_kind():
    model = nn.Sequential(ConvBN(4, 4), RepConvBN(4)).eval()
    fuse_(model, RepConvBN)
    assert isinstance(model[0], ConvBN)
    assert not isinstance(model[1], RepConvBN)


@pytest.mark.parametrize(
    ("model", "kinds", "message"),
    [
        (nn.Sequential(RepConvBN(4)), (), "eval mode"),
        (nn.Sequential(RepConvBN(4)).eval().append(RepConvBN(4)), (), "all of it"),
        (nn.Sequential(RepConvBN(4)).eval(), (nn.Linear,), "cannot fuse"),
        (nn.Sequential(nn.ReLU()).eval(), (), "no layer to fuse"),
    ],
)
def test_fuse_refuses_what_it_cannot_do(model, kinds, message):
    with pytest.raises(ValueError, match=message):
        fuse_(model, *kinds)


def test_batch_statistics_are_those_of_all_time_steps_together():
    layer = ConvBN(2, 2)
    x = torch.randn(3, 4, 2, 5, 5)
    expected = layer.bn(layer.conv(x.flatten(0, 1))).unflatten(0, (3, 4))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("trains", [True, False])
def test_fused_layers_train_if_and_only_if_the_layer_did(trains):
    model = nn.Sequential(RepConvBN(4), ConvBN(4, 4)).eval().requires_grad_(trains)
    assert {parameter.requires_grad for parameter in fuse_(model).parameters()} == {trains}
