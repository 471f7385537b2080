from dataclasses import replace

import pytest

from spikevision.statistics import CLASSIC, ENERGY_MODELS, INTEGER, MEMORY, STRICT, Record
from spikevision.statistics.energy import level_bits, rate_times_macs
from spikevision.statistics.record import Entry
from spikevision.statistics.tensor_summary import Kind


def layer(role: str, kind: Kind, *, weights: int = 9, **counts: list[int]) -> Entry:
    entry = Entry(about={"type": "Conv2d", "role": role, "weights": weights})
    steps = len(counts["macs"])
    entry.add("8x8", kind, {"runs": [2] * steps, **counts})
    return entry


@pytest.fixture
def record() -> Record:
    """Two images, T = 2: image layer, layer on spikes, layer on integers, classifier on reals, a neuron."""
    neuron = Entry(about={"type": "LIF"}, channel_spikes=[40])
    neuron.add("8x8", Kind.BINARY, {"elements": [100, 100], "spikes": [30, 10]})
    return Record(
        images={"8x8": 2},
        neurons={"neuron": neuron},
        layers={
            "stem": layer("first", Kind.REAL, macs=[1000], inputs=[50], outputs=[100]),
            "conv": layer(
                "layer",
                Kind.BINARY,
                macs=[900, 900],
                inputs=[100, 100],
                outputs=[100, 100],
                spikes=[30, 10],
                synops=[250, 80],
            ),
            "sums": layer(
                "layer",
                Kind.INTEGER,
                macs=[500, 500],
                inputs=[100, 100],
                outputs=[50, 50],
                spikes=[60, 20],
                synops=[300, 100],
            ),
            "fc": layer("classifier", Kind.REAL, macs=[40, 40], inputs=[8, 8], outputs=[20, 20]),
        },
        elementwise={"8x8": {"normalisation": [300, 200], "residual": [70, 70]}},
    )


def test_classic_energy_by_hand(record):
    energy = CLASSIC.estimate(record)
    first = 4.6 * 1000 * 2  # at both steps, although it ran once
    rates = 900 * 0.3 + 900 * 0.1 + 500 * 0.6 + 500 * 0.2
    assert energy.snn_pj == pytest.approx((first + 0.9 * rates) / 2)
    assert energy.ann_pj == pytest.approx(4.6 * (1000 + 900 + 500) / 2)
    assert energy.layers["fc"].snn_pj == energy.layers["fc"].ann_pj == 0


def test_strict_energy_by_hand(record):
    energy = STRICT.estimate(record)
    macs = 1000 + 1000 + 80 + 500 + 200  # image, integers, classifier, normalisation, neurons
    acs = 330 + 140 + 200  # exact operations, residual additions, neurons
    assert (energy.macs, energy.acs) == (macs / 2, acs / 2)
    assert energy.snn_pj == pytest.approx((4.6 * macs + 0.9 * acs) / 2)
    ann_macs = 1000 + 900 + 500 + 40 + 300
    assert energy.ann_pj == pytest.approx((4.6 * ann_macs + 0.9 * 70) / 2)


def test_memory_adds_what_is_moved_by_hand(record):
    moved = {
        "stem": 2 * 9 * 32 + 50 * 32 + 100 * 32,
        "conv": 4 * 9 * 32 + 200 * 1 + 200 * 32,
        "sums": 4 * 9 * 32 + 200 * 6 + 100 * 32,
        "fc": 4 * 9 * 32 + 16 * 32 + 40 * 32,
        "neuron updates": 2 * 200 * 32,
    }
    with_memory, without = MEMORY.estimate(record), STRICT.estimate(record)
    for name, bits in moved.items():
        added = with_memory.layers[name].snn_pj - without.layers[name].snn_pj
        assert added == pytest.approx(3.12 * bits / 2), name
    ann_bits = 2 * 9 * 32 + (100 + 100) * 32
    added = with_memory.layers["conv"].ann_pj - without.layers["conv"].ann_pj
    assert added == pytest.approx(3.12 * ann_bits / 2)


def test_the_integer_ann_has_as_many_levels_as_the_steps_can_tell_apart(record):
    assert [level_bits(steps) for steps in (1, 2, 3, 4, 7, 8)] == [1, 2, 2, 3, 3, 4]
    energy = INTEGER.estimate(record)
    assert energy.layers["conv"].ann_pj == pytest.approx(900 * (0.1 + 2 * 0.025) / 2)
    assert energy.layers["conv"].snn_pj == pytest.approx(330 * 0.1 / 2)


def test_a_chip_of_your_own_is_a_matter_of_constants(record):
    chip = replace(STRICT, name="chip", mac_pj=1.0, ac_pj=0.0, source="data sheet")
    assert chip.estimate(record).snn_pj == STRICT.estimate(record).macs


def test_every_model_names_its_source_and_differs_in_name():
    assert len({model.name for model in ENERGY_MODELS}) == len(ENERGY_MODELS)
    assert all("Horowitz" in model.source for model in ENERGY_MODELS)


def test_the_mean_rate_is_taken_per_image_size():
    entry = layer(
        "layer", Kind.BINARY, macs=[10], inputs=[10], outputs=[1], spikes=[10], synops=[1]
    )
    entry.add(
        "4x4",
        Kind.BINARY,
        {"macs": [1000], "inputs": [10], "outputs": [1], "spikes": [0], "synops": [0]},
    )
    assert rate_times_macs(entry) == 10


def test_energy_needs_images_and_operations():
    for record in (Record(), Record(operations=False, images={"8x8": 1})):
        with pytest.raises(ValueError, match="synaptic operations"):
            STRICT.estimate(record)
