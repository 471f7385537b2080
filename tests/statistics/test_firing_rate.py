import torch

from spikevision.neurons import LIF
from spikevision.statistics import SpikeRecorder, firing_rates, rate_warnings
from spikevision.statistics.firing_rate import mean_firing_rate
from spikevision.statistics.record import Entry, Record
from spikevision.statistics.tensor_summary import Kind


def record_of(per_step: list[int], channels: list[int], *, cases_per_step: int) -> Record:
    entry = Entry(about={"type": "LIF"}, channel_spikes=channels)
    entry.add(
        "8x8", Kind.BINARY, {"elements": [cases_per_step] * len(per_step), "spikes": per_step}
    )
    return Record(images={"8x8": 1}, neurons={"mask_head.neuron3": entry})


def test_rates_by_hand():
    # 4 channels of 50 cases in each of 2 steps: channel rates 0, 0.04, 0.5 and 1
    (rate,) = firing_rates(record_of([70, 84], [0, 4, 50, 100], cases_per_step=200))
    assert rate.mean == 154 / 400
    assert rate.per_step == (0.35, 0.42)
    assert (rate.silent, rate.saturated) == (0.25, 0.25)
    filled = {bin_: count for bin_, count in enumerate(rate.histogram) if count}
    assert filled == {0: 2, 10: 1, 19: 1}


def test_a_silent_layer_is_named_in_words():
    record = record_of([0, 0], [0, 0], cases_per_step=10)
    assert rate_warnings(record) == ["mask_head.neuron3 is silent: it never fired"]


def test_each_kind_of_trouble_has_its_sentence():
    def warn(per_step: list[int], channels: list[int]) -> str:
        return " / ".join(rate_warnings(record_of(per_step, channels, cases_per_step=10_000)))

    assert "hardly fires: 0.05%" in warn([5, 5], [5, 5])
    assert "silent at time step 1" in warn([0, 5000], [2500, 2500])
    assert "50% of the channels" in warn([2000, 2000], [4000, 0])
    assert "fire nearly always" in warn([6000, 6000], [10_000, 2000])
    assert warn([2000, 2000], [2000, 2000]) == ""


def test_values_that_are_no_spikes_have_no_rate_but_a_warning():
    entry = Entry(about={"type": "Odd"})
    entry.add("8x8", Kind.REAL, {"elements": [4]})
    record = Record(images={"8x8": 1}, neurons={"odd": entry})
    assert (firing_rates(record), mean_firing_rate(record)) == ([], 0.0)
    assert "no spike counts" in rate_warnings(record)[0]


def test_the_recorded_rate_is_the_mean_of_the_spikes():
    torch.manual_seed(0)
    neuron, x = LIF(), 3 * torch.rand(4, 2, 3, 5, 5)
    with SpikeRecorder(neuron) as recorder:
        spikes = neuron(x)
    (rate,) = firing_rates(recorder.record)
    assert rate.mean == spikes.double().mean().item()
    assert rate.per_step == tuple(spikes.double().mean((1, 2, 3, 4)).tolist())
    assert sum(rate.histogram) == 3
