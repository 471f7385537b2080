"""A converted network on disk."""

import pytest
import torch
from tiny_vit import tiny_vit
from torch import nn

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.artefact import equip, load, save, state_of

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("preset", ["sta+", "ecmt"])
def test_a_network_that_was_written_answers_as_before_to_the_bit(preset, tmp_path):
    config = STAConfig(preset=preset, time_steps=3)
    snn = convert(tiny_vit(img_size=16), [IMAGES], config, rules={"head": None})
    save(snn, tmp_path / "snn.safetensors")
    again = load(tmp_path / "snn.safetensors", tiny_vit(img_size=16, seed=1))
    assert torch.equal(again(IMAGES), snn(IMAGES))
    assert again.rules.default == config
    assert again.rules.patterns == {"head": None}
    assert again.report == snn.report


def test_a_network_of_another_shape_is_refused(tmp_path):
    snn = convert(nn.Sequential(nn.Linear(2, 3), nn.ReLU()).eval(), [torch.randn(4, 2)])
    save(snn, tmp_path / "snn.safetensors")
    with pytest.raises(ValueError, match="converted from another network"):
        load(tmp_path / "snn.safetensors", nn.Sequential(nn.Linear(2, 4), nn.ReLU()).eval())
    with pytest.raises(ValueError, match="of another network"):
        load(tmp_path / "snn.safetensors", nn.Linear(2, 3).eval())


def test_settings_that_cannot_be_read_are_refused():
    snn = convert(nn.Sequential(nn.Linear(2, 3), nn.ReLU()).eval(), [torch.randn(4, 2)])
    with pytest.raises(ValueError, match="holds no conversion"):
        equip(snn, None)
    with pytest.raises(ValueError, match="no conversion of this version"):
        equip(snn, torch.tensor([123, 125], dtype=torch.uint8))
    assert state_of(snn)["conversion"].dtype == torch.uint8
