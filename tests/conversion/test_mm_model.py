"""A converted network as a model of a config."""

import pytest
import torch
from mmpretrain.structures import DataSample
from tiny_vit import logits_of, tiny_vit

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.artefact import state_of
from spikevision.conversion.mm_model import ConvertedModel

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
ANN = {
    "type": "mmpretrain.ImageClassifier",
    "_scope_": "mmpretrain",
    "backbone": {
        "type": "VisionTransformer",
        "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32},
        "img_size": 16,
        "patch_size": 8,
    },
    "head": {"type": "VisionTransformerClsHead", "num_classes": 5, "in_channels": 16},
}


@pytest.fixture(scope="module")
def snn():
    return convert(tiny_vit(img_size=16), [IMAGES], STAConfig(preset="ecmt", time_steps=3))


def loaded(snn, **settings):
    model = ConvertedModel(ANN, **settings)
    state = state_of(snn)
    model.adopt(state)
    model.load_state_dict(state, strict=True)
    return model


def test_it_answers_as_the_converted_network_to_the_bit(snn):
    model = loaded(snn)
    assert torch.equal(model(IMAGES), snn(IMAGES))
    assert torch.equal(logits_of(model.ann, IMAGES), snn.ann(IMAGES))
    samples = model(IMAGES, [DataSample(), DataSample()], mode="predict")
    assert [int(s.pred_label) for s in samples] == snn(IMAGES).argmax(1).tolist()
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), state_of(snn).values(), strict=True)
    )


def test_the_config_chooses_the_number_of_steps(snn):
    assert torch.equal(loaded(snn, time_steps=1)(IMAGES), snn.run(IMAGES, 1)[1])
    with pytest.raises(ValueError, match="time_steps must be at least 1, got 0"):
        ConvertedModel(ANN, time_steps=0)


def test_a_data_preprocessor_that_the_runner_brings_reaches_the_ann(snn):
    own = {"type": "ClsDataPreprocessor", "mean": [1.0] * 3, "std": [2.0] * 3}
    assert ConvertedModel(ANN, data_preprocessor=own).data_preprocessor.mean.flatten()[0] == 1
    other = {**own, "mean": [7.0] * 3}
    kept = ConvertedModel({**ANN, "data_preprocessor": own}, data_preprocessor=other)
    assert kept.data_preprocessor.mean.flatten()[0] == 1


def test_it_never_trains(snn):
    model = loaded(snn)
    assert not any(module.training for module in model.train().modules())
    with pytest.raises(ValueError, match="cannot be trained: train the ANN and convert it"):
        model(IMAGES, [], mode="loss")


def test_weights_of_no_conversion_are_refused(snn):
    with pytest.raises(ValueError, match="holds no conversion"):
        ConvertedModel(ANN).adopt(snn.model.state_dict())
