"""Thresholds found from counts against a search over the raw values."""

import pytest
import torch

from spikevision.conversion.calibration import Histogram
from spikevision.conversion.sta import STAConfig
from spikevision.conversion.sta.thresholds import Moments, burst_thresholds, quantile_thresholds


def histogram_of(x):
    histogram = Histogram.empty(1, {})
    histogram.add(x[:, None, None], name="x")
    return histogram


def published_search(hidden, steps):
    """Threshold and errors by threshold: floor to levels of V / T, the largest V."""
    candidates = float(hidden.max()) * (1 - 0.005 * torch.arange(95, dtype=torch.float64))
    sent = (
        (hidden / candidates[:, None] * steps).clamp(0, steps).floor() * candidates[:, None] / steps
    )
    return candidates, (sent - hidden).square().sum(1)


def matched_search(hidden, steps):
    """The burst neuron's own transfer: rounds to V / 2T, reaches 2 V."""
    candidates = float(hidden.max()) / 2 * (1 - 0.01 * torch.arange(95, dtype=torch.float64))
    level = candidates[:, None] / (2 * steps)
    sent = (hidden / level + 0.5).floor().clamp(0, 4 * steps) * level
    return candidates, (sent - hidden).square().sum(1)


@pytest.mark.parametrize("rule", ["mse", "matched"])
@pytest.mark.parametrize("steps", [4, 32])
@pytest.mark.parametrize(("kink", "direction"), [(0.0, 1), (0.0, -1), (0.7, 1), (-0.4, -1)])
def test_threshold_is_nearly_as_good_as_a_search_over_the_values(rule, steps, kink, direction):
    x = torch.randn(20000, generator=torch.Generator().manual_seed(0)).double()
    x = x.sign() * x.abs() ** 1.5
    hidden = torch.relu(direction * (x - kink))
    config = STAConfig(threshold=rule, threshold_steps=steps)
    found = burst_thresholds(
        Moments(histogram_of(x)), kink=kink, direction=direction, config=config
    )
    search = published_search if rule == "mse" else matched_search
    candidates, errors = search(hidden[hidden > 0], steps)
    nearest = int((candidates - float(found)).abs().argmin())
    assert float(errors[nearest]) <= 1.1 * float(errors.min())


def test_sums_beyond_a_point_are_those_of_the_values():
    x = torch.rand(50000, generator=torch.Generator().manual_seed(0)).double() * 4 - 1
    moments = Moments(histogram_of(x))
    for point in (-0.9, -0.2, 0.3, 2.2):
        count, total, square = moments.beyond(torch.tensor([[point]]).double())[0, 0].tolist()
        above = x[x > point]
        assert count == pytest.approx(len(above), rel=0.01)
        assert total == pytest.approx(float(above.sum()), rel=0.01)
        assert square == pytest.approx(float(above.square().sum()), rel=0.01)


def test_a_unit_that_was_never_active_has_threshold_0():
    moments = Moments(histogram_of(torch.linspace(-2, -1, 100)))
    assert float(burst_thresholds(moments, kink=0.0, direction=1, config=STAConfig())) == 0


def test_quantile_covers_that_share_of_the_magnitudes():
    x = torch.randn(40000, generator=torch.Generator().manual_seed(0))
    for share in (0.5, 0.99):
        found = quantile_thresholds(histogram_of(x), share)
        covered = float((x.abs() <= found).double().mean())
        assert share <= covered < share + 0.03
    assert float(quantile_thresholds(histogram_of(x), 1.0)) == float(x.abs().max())
