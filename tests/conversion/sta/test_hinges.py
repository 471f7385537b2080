"""Sums of hinges: how well they fit, how they go on outside, and that a fit is always the same."""

import pytest
import torch

from spikevision.conversion.sta.hinges import SCALARS, fit_hinges, reciprocal_hinges


def error_of(name, units, low, high):
    relative = SCALARS[name].logarithmic
    given = (low, high) if relative else (None, None)
    x = torch.linspace(low, high, 20001, dtype=torch.float64)
    if relative:
        x = torch.logspace(*torch.tensor([low, high]).log10().tolist(), 20001, dtype=torch.float64)
    wanted = SCALARS[name].function(x)
    error = (fit_hinges(name, units, *given)(x) - wanted).abs()
    return float((error / wanted.abs() if relative else error)[1:-1].max())


# errors of the closed-form fit that the method's notes measured, at 16 and 32 units: none is larger here
@pytest.mark.parametrize(
    ("name", "low", "high", "at_16", "at_32"),
    [
        ("gelu", -10, 10, 0.0094, 0.0015),
        ("exp", -12, 0, 0.0027, 0.0006),
        ("reciprocal", 1, 197, 0.058, 0.012),
        ("rsqrt", 0.1, 10, 0.0168, 0.0037),
        ("rsqrt", 0.01, 100, 0.065, 0.015),
    ],
)
def test_error_of_a_fit(name, low, high, at_16, at_32):
    assert error_of(name, 16, low, high) <= at_16
    assert error_of(name, 32, low, high) <= at_32


@pytest.mark.parametrize("name", [name for name, scalar in SCALARS.items() if scalar.domain])
def test_slopes_far_outside_are_those_of_the_function(name):
    hinges = fit_hinges(name, 16)
    for sign, slope in zip((-1, 1), SCALARS[name].slopes, strict=True):
        near, far = hinges(torch.tensor([100.0 * sign, 101.0 * sign]).double())
        assert float(far - near) * sign == pytest.approx(slope, abs=1e-9)


def test_table_look_up_is_the_sum_of_hinges():
    hinges = fit_hinges("gelu", 12)
    x = torch.linspace(-15, 15, 999, dtype=torch.float64)
    wanted = hinges.constant + sum(
        w * torch.relu(d * (x - k))
        for k, d, w in zip(hinges.kinks, hinges.directions, hinges.weights, strict=True)
    )
    torch.testing.assert_close(hinges(x), wanted, rtol=0, atol=1e-12)


def test_a_fit_is_deterministic():
    fit_hinges.cache_clear()
    first = fit_hinges("rsqrt", 16, 0.1, 10.0)
    fit_hinges.cache_clear()
    assert fit_hinges("rsqrt", 16, 0.1, 10.0) == first


def test_reciprocal_covers_one_key_and_many():
    for keys in (1, 2, 500):
        x = torch.linspace(1, keys, 50, dtype=torch.float64)
        error = reciprocal_hinges(64, keys)(x) * x - 1
        assert float(error.abs().max()) < 0.005
