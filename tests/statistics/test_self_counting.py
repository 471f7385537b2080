"""A module that counts itself: its record, its energy and its break-even, all by hand."""

import dataclasses

import pytest
import torch
from torch import nn

from spikevision.statistics import (
    CLASSIC,
    MEMORY,
    STRICT,
    SpikeRecorder,
    break_even_steps,
    merge_records,
    rate_warnings,
    summarise,
)


class Teller(nn.Module):
    """Tells of two steps: a layer of 10 events to 3 outputs each, and one that costs 8 MACs, the ANN's being 12 + 8."""

    operation_counter = None

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 3)  # has to be told, not watched

    def forward(self, x):
        counter = self.operation_counter
        for step in (1, 2) if counter else ():
            sizes = {"inputs": 4, "outputs": 3}
            events = {"macs": 12, "ann_macs": 12 if step == 1 else 0, "spikes": 10, "synops": 30}
            real = {"macs": 8, "ann_macs": 8 if step == 1 else 0}
            about = {"type": "Linear", "role": "layer", "weights": 12}
            counter.layer("inner", step=step, about=about, counts={**sizes, **events})
            counter.layer(
                "real", step=step, about={**about, "weights": 0}, counts={**sizes, **real}
            )
            counter.neurons(
                "spikes", step=step, type="Burst", elements=4, events=torch.tensor([4.0, 6.0])
            )
            counter.values("residual", step=step, number=5)
        return self.inner(x)


def record_of(model, *, calls=1, **options):
    with SpikeRecorder(model, **options) as recorder:
        for _ in range(calls):
            model(torch.zeros(1, 4))
    return recorder.record


def test_what_is_told_is_recorded_under_the_name_of_the_teller():
    record = record_of(nn.Sequential(nn.ReLU(), Teller()), calls=2)
    assert record.layers["1.inner"].per_step("synops") == [60, 60]
    assert list(record.layers) == ["1.inner", "1.real"]  # the linear layer inside is not watched
    assert record.neurons["1.spikes"].channel_spikes == [16, 24]
    assert record.time_steps == 2
    assert record.elementwise == {"4": {"residual": [10, 10]}}
    assert rate_warnings(record) == []  # 2.5 events per neuron and step: graded, not saturated


def test_neurons_alone_are_recorded_where_operations_are_not_wanted():
    record = record_of(Teller(), operations=False)
    assert record.layers == {}
    assert record.elementwise == {}
    assert list(record.neurons) == ["spikes"]


def test_records_of_batches_add_up():
    once, twice = record_of(Teller()), record_of(Teller(), calls=2)
    assert merge_records([once, once]).to_dict() == twice.to_dict()


def test_energy_by_hand():
    record = record_of(Teller())
    classic = CLASSIC.estimate(record)
    assert classic.snn_pj == pytest.approx(2 * (30 * 0.9 + 8 * 4.6))
    assert classic.ann_pj == pytest.approx(20 * 4.6)
    strict = STRICT.estimate(record)
    assert strict.snn_pj == pytest.approx(
        2 * (30 * 0.9 + 8 * 4.6) + 2 * 4 * (4.6 + 0.9) + 2 * 5 * 0.9
    )
    assert strict.ann_pj == pytest.approx(20 * 4.6 + 5 * 0.9)


def test_memory_of_the_ann_is_not_charged_for_what_only_the_spiking_network_has():
    class Side(Teller):
        def forward(self, x):
            if self.operation_counter:
                counts = {"inputs": 4, "outputs": 3, "macs": 8, "ann_macs": 0}
                about = {"type": "product", "role": "product", "weights": 0}
                self.operation_counter.layer("side", step=1, about=about, counts=counts)
            return x

    energy = MEMORY.estimate(record_of(Side()))
    assert energy.ann_pj == 0
    assert energy.snn_pj == pytest.approx(8 * 4.6 + 3.12 * 32 * (4 + 3))


def test_the_record_of_the_first_steps():
    record = record_of(Teller()).first_steps(1)
    assert record.time_steps == 1
    assert CLASSIC.estimate(record).snn_pj == pytest.approx(30 * 0.9 + 8 * 4.6)


def test_break_even_between_steps_and_beyond_the_last():
    record = record_of(Teller())
    step = 30 * 0.9 + 8 * 4.6  # 63.8 pJ; the ANN takes 92
    assert break_even_steps(record, CLASSIC) == pytest.approx(92 / step)
    cheap = dataclasses.replace(CLASSIC, ac_pj=0.0, mac_pj=4.6)  # 36.8 pJ a step: 2.5 steps
    assert break_even_steps(record, cheap) == pytest.approx(92 / 36.8)
    assert break_even_steps(record, dataclasses.replace(CLASSIC, ac_pj=0, mac_pj=0)) is None


def test_the_summary_has_a_break_even_of_networks_that_count_themselves_alone():
    energy = summarise(record_of(Teller()))["energy"][0]
    assert energy["break_even_steps"] == pytest.approx(92 / 63.8)
    plain = summarise(record_of(nn.Sequential(nn.Linear(4, 3))))["energy"][0]
    assert "break_even_steps" not in plain
