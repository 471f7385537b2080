import math

import pytest
import torch

from spikevision.ops import DEFAULT_ALPHA, SURROGATES, spike
from spikevision.ops.surrogate import SLOPES as IN_PLACE_SLOPES
from spikevision.ops.surrogate import heaviside

# Derivatives worked by hand, as functions of u and alpha.
SLOPES = {
    "sigmoid": lambda u, a: a * math.exp(-a * u) / (1 + math.exp(-a * u)) ** 2,
    "atan": lambda u, a: a / 2 / (1 + (math.pi / 2 * a * u) ** 2),
    "triangular": lambda u, a: max(0.0, a - a * a * abs(u)),
    "rectangular": lambda u, a: a if abs(u) <= 1 / (2 * a) else 0.0,
}
POINTS = [-3.0, -1.1, -0.3, -0.01, 0.0, 0.01, 0.2, 0.9, 1.7, 40.0]


def gradient(function, u):
    u = u.clone().requires_grad_()
    return torch.autograd.grad(function(u).sum(), u)[0]


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_has_a_default_steepness_and_a_slope_worked_by_hand(name):
    assert name in DEFAULT_ALPHA
    assert name in SLOPES


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spike_is_one_from_zero_on_and_exact(dtype):
    u = torch.tensor([-math.inf, -1e30, -1e-30, -0.0, 0.0, 1e-30, 1e30, math.inf], dtype=dtype)
    expected = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1], dtype=dtype)
    for name in SURROGATES:
        assert torch.equal(spike(u.clone().requires_grad_(), name), expected)
    assert torch.equal(heaviside(u), expected)


@pytest.mark.parametrize("alpha", [None, 0.7, 3.0])
@pytest.mark.parametrize("name", SURROGATES)
def test_gradient_is_the_slope_worked_by_hand(name, alpha):
    u = torch.tensor(POINTS, dtype=torch.float64)
    a = DEFAULT_ALPHA[name] if alpha is None else alpha
    expected = torch.tensor([SLOPES[name](p, a) for p in POINTS], dtype=torch.float64)
    got = gradient(lambda u: spike(u, name, alpha), u)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("alpha", [0.7, 2.0, 3.0])
@pytest.mark.parametrize("name", SURROGATES)
def test_slope_in_place_is_the_primitives_autograd_also_at_the_corners(name, alpha):
    grid = torch.linspace(-3, 3, 601, dtype=torch.float64)
    corners = torch.tensor([-0.5, -1.0, 0.5, 1.0], dtype=torch.float64) / alpha
    infinity = torch.full_like(corners, math.inf)
    u = torch.cat([grid, corners, corners.nextafter(infinity), corners.nextafter(-infinity)])
    expected = gradient(lambda u: SURROGATES[name](u, alpha), u)
    got = IN_PLACE_SLOPES[name](buffer := u.clone(), alpha)
    assert got is buffer
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", SURROGATES)
def test_gradient_is_the_finite_difference_of_the_smooth_primitive(name):
    u = torch.tensor([-0.83, -0.31, -0.07, 0.11, 0.37, 0.71, 2.3], dtype=torch.float64)
    alpha, step = 1.1, 1e-6
    primitive = SURROGATES[name]
    difference = (primitive(u + step, alpha) - primitive(u - step, alpha)) / (2 * step)
    got = gradient(lambda u: spike(u, name, alpha), u)
    torch.testing.assert_close(got, difference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", SURROGATES)
def test_primitive_rises_from_zero_to_one_through_one_half(name):
    values = SURROGATES[name](torch.linspace(-1e4, 1e4, 2001, dtype=torch.float64), 2.0)
    assert (values.diff() >= 0).all()
    torch.testing.assert_close(
        values[[0, 1000, 2000]],
        torch.tensor([0, 0.5, 1], dtype=torch.float64),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("sigmoid", "Sigmoid"), ("atan", "ATan"), ("triangular", "PiecewiseQuadratic")],
)
def test_gradient_equals_spikingjellys(name, theirs):
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    u = torch.randn(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for alpha in (0.5, 1.0, 2.0, 4.0):
        function = getattr(surrogate, theirs)(alpha=alpha)
        torch.testing.assert_close(
            gradient(lambda u, a=alpha: spike(u, name, a), u),
            gradient(function, u),
            rtol=1e-12,
            atol=1e-14,
        )


def test_unknown_surrogate_lists_the_known_ones():
    with pytest.raises(ValueError, match="'sigmoidal'.*sigmoid, atan, triangular, rectangular"):
        spike(torch.zeros(1), "sigmoidal")


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.inf, math.nan])
def test_steepness_must_be_positive_and_finite(alpha):
    with pytest.raises(ValueError, match="alpha must be positive"):
        spike(torch.zeros(1), "sigmoid", alpha)
