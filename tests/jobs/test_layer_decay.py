import pytest
import torch
from mmengine.optim import build_optim_wrapper
from tiny_distillation import STUDENT

import spikevision  # noqa: F401

pytest.importorskip("mmpretrain.models", reason="mmpretrain is not installed")
from mmpretrain.registry import MODELS


def rates(model, constructor: str, rate: float | None = 0.5, **fields) -> dict[str, float]:
    """Learning rate of each parameter; the base rate is 1."""
    paramwise = {"norm_decay_mult": 0.0, **fields}
    if rate is not None:
        paramwise["layer_decay_rate"] = rate
    config = dict(
        constructor=constructor,
        optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.1),
        paramwise_cfg=paramwise,
    )
    names = {id(value): name for name, value in model.named_parameters()}
    groups = build_optim_wrapper(model, config).optimizer.param_groups
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def test_the_head_learns_at_full_rate_and_the_stem_slowest():
    found = rates(MODELS.build(STUDENT), "spikevision.LayerDecay")
    assert found["head.fc.weight"] == 1.0
    # depths (1, 1): the last stage's block is layer 6 of 0 to 7
    assert found["backbone.stages.4.block0.mlp.body.fc1.conv.weight"] == 0.5
    assert found["backbone.stem.conv.weight"] == 0.5**7


def test_classifiers_get_what_mmpretrains_own_constructor_gives():
    model = MODELS.build(STUDENT)
    stock = rates(model, "mmpretrain.LearningRateDecayOptimWrapperConstructor")
    assert rates(model, "spikevision.LayerDecay") == pytest.approx(stock)


def test_the_student_of_a_distillation_decays_as_it_does_alone():
    student = {**STUDENT, "type": "mmpretrain.ImageClassifier"}
    config = dict(
        type="spikevision.Distiller",
        student=student,
        teacher=dict(config=student),
        losses=[dict(type="Features", channels=(16, 8))],
    )
    alone = rates(MODELS.build(STUDENT), "spikevision.LayerDecay")
    for constructor in (
        "spikevision.LayerDecay",
        "mmpretrain.LearningRateDecayOptimWrapperConstructor",
    ):
        found = rates(MODELS.build(config), constructor)
        assert {name: found[f"student.{name}"] for name in alone} == pytest.approx(alone)
        assert found["losses.0.adapter.weight"] == 1.0


def test_factors_of_mmengine_multiply():
    model = MODELS.build(STUDENT)
    custom = {"custom_keys": {"head": dict(lr_mult=10.0)}}
    assert rates(model, "spikevision.LayerDecay", **custom)["head.fc.weight"] == 10.0


@pytest.mark.parametrize("rate", [None, 0, 1.5])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="layer_decay_rate must be above 0"):
        rates(MODELS.build(STUDENT), "spikevision.LayerDecay", rate)


def test_a_model_without_a_backbone_of_known_depth_is_refused():
    with pytest.raises(ValueError, match="no backbone"):
        rates(torch.nn.Linear(2, 2), "spikevision.LayerDecay")
    stock = MODELS.build(dict(type="ImageClassifier", backbone=dict(type="LeNet5")))
    with pytest.raises(ValueError, match="LeNet5 has no get_layer_depth"):
        rates(stock, "spikevision.LayerDecay")
