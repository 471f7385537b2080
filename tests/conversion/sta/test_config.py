"""Settings: presets fill what is not given, and nonsense is refused."""

import pytest

from spikevision.conversion.sta import PRESETS, STAConfig


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_is_not_given_and_survives_json(preset):
    config = STAConfig(preset=preset, time_steps=5, burst=3)
    assert all(getattr(config, name) == value for name, value in PRESETS[preset].items())
    assert STAConfig(**config.to_dict()) == config


def test_what_is_given_wins():
    config = STAConfig(preset="ecmt", neuron="burst", threshold="mse")
    assert (config.neuron, config.threshold, config.operators) == ("burst", "mse", "exact")


def test_the_threshold_search_looks_as_far_as_the_run_unless_the_preset_says_otherwise():
    assert STAConfig(time_steps=12).threshold_steps == 12
    assert STAConfig(preset="sta+", time_steps=12).threshold_steps == 8
    assert STAConfig(preset="sta+", threshold_steps=4).threshold_steps == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "stb"}, "preset must be one of sta, sta"),
        ({"time_steps": 0}, "time_steps must be at least 1, got 0"),
        ({"neuron": "lif"}, "neuron must be one of burst, multi_threshold, none, got 'lif'"),
        ({"unsupported": "ignore"}, "unsupported must be one of error, exact"),
        ({"activation_units": 2}, "activation_units must be at least 6"),
        ({"quantile": 0.0}, r"quantile in \(0, 1\]"),
        ({"threshold_steps": 0}, "threshold_steps must be at least 1"),
    ],
)
def test_nonsense_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        STAConfig(**given)
