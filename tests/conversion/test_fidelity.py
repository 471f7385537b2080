"""Measures of closeness, and the tables made of them."""

import math

import pytest
import torch
from torch import nn

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.fidelity import classification_fidelity, cosine, layer_fidelity, snr_db


def test_snr_and_cosine_by_hand():
    wanted = torch.tensor([3.0, 4.0])
    assert snr_db(wanted, torch.tensor([3.0, 4.5])) == pytest.approx(20)  # 25 over a quarter
    assert snr_db(wanted, wanted) == math.inf
    assert cosine(wanted, torch.tensor([4.0, -3.0])) == pytest.approx(0)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 3)
    ).eval()


X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


def test_the_stages_of_a_classifier(network):
    snn = convert(network, [X], STAConfig(time_steps=16))
    label = network(X).argmax(1)
    table = classification_fidelity(snn, [(X[:20], label[:20]), (X[20:], label[20:])], at=[1, 16])
    assert list(table) == ["ann", "without_spikes", "1", "16"]
    assert table["ann"] == {"accuracy_percent": 100}
    assert (
        table["16"]["accuracy_percent"] == table["16"]["agreement_percent"]
    )  # labels are the ANN's
    assert table["without_spikes"]["snr_db"] > table["16"]["snr_db"] > table["1"]["snr_db"]


def test_an_inherited_error_is_told_from_an_own_one(network):
    snn = convert(network, [X])
    with torch.no_grad():  # spoil the encoder of the normalisation: what follows inherits
        snn.model.get_submodule("1.spiking_layer_norm_normalised").thresholds.mul_(0.02)
    table = layer_fidelity(snn, X, at=[32])
    assert list(table) == ["1.layer_norm", "3.gelu"]
    first, second = (table[name][32] for name in table)
    assert first["own_snr_db"] < 15
    assert second["snr_db"] < 20 < second["own_snr_db"]
    assert second["cosine"] < 1


def test_nothing_to_measure_is_an_error(network):
    snn = convert(network, [X])
    with pytest.raises(ValueError, match="nothing to measure"):
        classification_fidelity(snn, [], at=[1])
