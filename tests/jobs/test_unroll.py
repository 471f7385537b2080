import json
import types

import pytest
import torch
from tiny_training import SPIKING

from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.unroll import _padded_shape

INTEGER = {"type": "spikevision.IntegerLIF", "levels": 4}
MODEL = {
    **SPIKING,
    "backbone": {**SPIKING["backbone"], "neuron": INTEGER},
    "head": {**SPIKING["head"], "neuron": INTEGER},
}
HOOKS = [{"type": "spikevision.UnrollHook"}, {"type": "spikevision.SpikeStatisticsHook"}]


def tried(spiking_spec, checkpoint, model, hooks, folder):
    """Metrics, and the statistics if there are any."""
    spec = spiking_spec(
        folder,
        cfg_options={"model": model, "custom_hooks": hooks},
        checkpoint=checkpoint,
    )
    result = evaluate(spec)
    file = result.run_dir / "statistics.json"
    return result.metrics, json.loads(file.read_text()) if file.exists() else None


def test_a_test_on_spikes_has_the_metrics_of_the_numbers_and_counts_the_spikes(
    spiking_spec, spiking_checkpoint
):
    expected, numbers = tried(spiking_spec, spiking_checkpoint, MODEL, HOOKS[1:], "numbers")
    found, spikes = tried(spiking_spec, spiking_checkpoint, MODEL, HOOKS, "spikes")
    assert found == expected
    assert {layer["kind"] for layer in spikes["layers"].values()} == {"binary", "real"}
    assert "integer" in {layer["kind"] for layer in numbers["layers"].values()}
    for name, neuron in spikes["neurons"].items():
        (steps,), (whole,) = (
            neuron["by_size"].values(),
            numbers["neurons"][name]["by_size"].values(),
        )
        assert len(steps["spikes"]) == 4 * len(whole["spikes"]) == 8  # T x D
        assert sum(steps["spikes"]) == sum(whole["spikes"])


def test_neurons_that_cannot_unroll_are_an_error(spiking_spec, spiking_checkpoint):
    with pytest.raises(ValueError, match="cannot unroll .* is a LIF"):
        tried(spiking_spec, spiking_checkpoint, SPIKING, HOOKS[:1], "lif")


def test_spikes_that_would_not_fit_are_an_error_before_the_first_batch(
    spiking_spec, spiking_checkpoint, monkeypatch
):
    asked = []

    def refuse(needed, device, what):
        asked.append(what)
        raise ValueError("no memory")

    monkeypatch.setattr("spikevision.neurons.unroll_memory.check_memory", refuse)
    with pytest.raises(ValueError, match="no memory"):
        tried(spiking_spec, spiking_checkpoint, MODEL, HOOKS[:1], "large")
    assert len(asked) == 1
    assert asked[0].startswith("8 steps of spikes (T x D) of the neuron 'stages.")


def test_a_batch_of_unequal_images_counts_as_large_as_it_is_padded():
    specs = [types.SimpleNamespace(stride=stride) for stride in (4, 16)]
    backbone = types.SimpleNamespace(feature_specs=lambda: specs)
    images = [torch.zeros(3, 32, 17), torch.zeros(3, 20, 40)]
    assert _padded_shape(images, backbone) == (2, 3, 32, 48)
