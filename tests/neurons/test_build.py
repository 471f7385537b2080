import pytest
import torch
from mmengine.registry import DefaultScope

from spikevision.neurons import IF, LIF, ParametricLIF, build_neuron
from spikevision.registry import MODELS


def test_nothing_builds_the_default_lif():
    assert type(build_neuron()) is LIF
    assert repr(build_neuron(None)) == repr(LIF())


@pytest.mark.parametrize("cls", [IF, LIF, ParametricLIF])
def test_neurons_build_from_configs_by_name_scoped_name_and_class(cls):
    for type_ in (cls.__name__, f"spikevision.{cls.__name__}", cls):
        assert type(build_neuron({"type": type_})) is cls
    assert MODELS.get(cls.__name__) is cls


def test_overrides_win_and_the_config_stays_as_it_was():
    cfg = {"type": "LIF", "tau": 3.0, "v_threshold": 1.0}
    neuron = build_neuron(cfg, v_threshold=0.5)
    assert (neuron.tau, neuron.v_threshold) == (3.0, 0.5)
    assert cfg == {"type": "LIF", "tau": 3.0, "v_threshold": 1.0}
    assert build_neuron({"tau": 3.0}).tau == 3.0


def test_neurons_build_while_another_librarys_scope_is_current():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        assert type(build_neuron({"type": "IF"})) is IF


def test_a_config_that_is_no_neuron_is_refused():
    with pytest.raises(ValueError, match="dict.*'LIF'"):
        build_neuron("LIF")
    with pytest.raises(ValueError, match="builds a Linear, not a SpikingNeuron"):
        build_neuron({"type": torch.nn.Linear, "in_features": 1, "out_features": 1})
