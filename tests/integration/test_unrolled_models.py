"""Unrolled networks of all three tasks: the answer of the integer network, on binary spikes alone."""

import pytest
import torch
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.heads.classification import build_classifier
from spikevision.layers.attention import SpikingProduct
from spikevision.neurons import SpikingNeuron, unroll_
from spikevision.statistics import audit_calls, breaks_rule

META = dict(embed_dims=(8, 16, 16, 24), num_heads=2, depths=(1, 1))
SPIKFORMER = dict(embed_dims=16, depth=2, num_heads=2)
BACKBONES = {
    "meta": dict(type="MetaSpikeFormer", arch=META),
    "meta, sew, sdsa1": dict(type="MetaSpikeFormer", arch=META, shortcut="sew", attention="sdsa1"),
    "meta, vanilla": dict(type="MetaSpikeFormer", arch=META, shortcut="vanilla"),
    "e-spikeformer": dict(type="ESpikeFormer", arch=META),
    "spikformer": dict(type="Spikformer", variant="imagenet", arch=SPIKFORMER),
    "spikformer, cifar": dict(type="Spikformer", variant="cifar", arch=SPIKFORMER),
    "spikformer, events": dict(type="Spikformer", variant="event", arch=SPIKFORMER),
}


def lively(model, calls, levels=1):
    """Weights of norms, factors of attention and running statistics under which neurons use all of their levels."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 3.0)
            nn.init.normal_(module.bias)
            module.momentum = None  # the average of all calls
        elif isinstance(module, SpikingProduct):
            module.scale *= levels**3
    with torch.no_grad():
        calls()
    return model.eval()


def assert_spike_driven(model, calls):
    """Every neuron fires 0 and 1 alone, and nothing else enters a weight layer behind the first."""
    fired = []
    for module in model.modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_hook(lambda m, args, out: fired.append(out.detach()))
    findings = audit_calls(model, calls)
    assert not breaks_rule(findings)
    assert {f.input for f in findings if f.role != "first"} <= {"binary", "silent"}
    assert sum(f.input == "binary" for f in findings) > len(findings) / 2
    assert all(torch.equal(spikes, spikes.bool().to(spikes)) for spikes in fired)


@pytest.mark.parametrize(
    ("levels", "time_steps", "normalise"),
    [
        (4, 1, False),
        (8, 2, True),
        pytest.param(4, 2, True, marks=pytest.mark.slow),
        pytest.param(8, 1, False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", BACKBONES)
def test_classifiers_answer_the_same_on_binary_spikes(name, levels, time_steps, normalise):
    neuron = dict(type="IntegerLIF", levels=levels, normalise=normalise)
    torch.manual_seed(0)
    model = build_classifier(BACKBONES[name] | dict(time_steps=time_steps, neuron=neuron), 7)
    model.double().train()
    frames = (time_steps, 2) if "events" in name else (3,)
    images = torch.randn(2, *frames, 32, 32, dtype=torch.float64)
    lively(model, lambda: model(images), levels if normalise else 1)
    with torch.no_grad():
        if model.head.neuron:  # sees averages over space
            pooled = model.backbone(images)[-1].mean((-2, -1))
            model.head.neuron.v_threshold = pooled.abs().max().item() / levels
        expected = model(images)
        torch.testing.assert_close(unroll_(model)(images), expected, rtol=0, atol=1e-9)
    assert expected.std(0).max() > 1e-3  # not the bias alone
    assert_spike_driven(model, lambda: model(images))


def integer_neurons(config, levels):
    """Give every spiking part of a model's config integer neurons, in place."""
    if isinstance(config, dict):
        name = str(config.get("type", ""))
        if name.startswith("spikevision.Spiking") and name.endswith(("Head", "FPN")):
            config["neuron"] = dict(type="spikevision.IntegerLIF", levels=levels)
            if name.endswith("RoIHead"):
                del config["neuron"]
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, (dict, list)):
            integer_neurons(value, levels)


def raw_outputs(value):
    """All tensors of nested raw outputs."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for v in value for x in raw_outputs(v)] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize(
    ("name", "levels", "time_steps"),
    [
        ("mask-rcnn", 4, 1),
        ("mask-rcnn", 8, 2),
        pytest.param("mask-rcnn", 4, 2, marks=pytest.mark.slow),
        pytest.param("mask-rcnn", 8, 1, marks=pytest.mark.slow),
        pytest.param("cascade", 4, 1, marks=pytest.mark.slow),
        pytest.param("retinanet", 4, 1, marks=pytest.mark.slow),
        pytest.param("fcos", 4, 2, marks=pytest.mark.slow),
    ],
)
def test_detectors_give_the_same_raw_outputs_on_binary_spikes(name, levels, time_steps):
    pytest.importorskip("mmdet.models", reason="mmdet is not installed")
    from tiny_detectors import DIMS, batch, build, shrunk

    config = shrunk(name, time_steps)
    integer_neurons(config.model, levels)
    config.model.backbone.update(
        arch=dict(embed_dims=DIMS, num_heads=2, depths=(1, 1)),
        neuron=dict(type="spikevision.IntegerLIF", levels=levels),
    )
    model = build(config).double()
    data = model.data_preprocessor(batch(2), training=False)
    data["inputs"] = data["inputs"].double()
    lively(model, lambda: model.backbone(data["inputs"]))

    def call():
        return model(**data, mode="tensor")

    with torch.no_grad():
        expected = raw_outputs(call())
        unroll_(model)
        found = raw_outputs(call())
    assert len(expected) >= 3
    for theirs, ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
        assert theirs.std() > 1e-6
    assert_spike_driven(model, call)


@pytest.mark.parametrize(("levels", "time_steps"), [(4, 1), (8, 2)])
def test_semantic_fpn_gives_the_same_logits_on_binary_spikes(levels, time_steps):
    pytest.importorskip("mmseg.models", reason="mmseg is not installed")
    from mmseg.registry import MODELS

    neuron = dict(type="spikevision.IntegerLIF", levels=levels)
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type="mmseg.EncoderDecoder",
            backbone=dict(
                type="spikevision.MetaSpikeFormer",
                arch=META,
                time_steps=time_steps,
                out_indices=(0, 1, 2, 4),
                neuron=neuron,
            ),
            neck=dict(
                type="spikevision.SpikingFPN",
                in_channels=[4, 8, 16, 24],
                out_channels=8,
                num_outs=4,
                neuron=neuron,
            ),
            decode_head=dict(
                type="spikevision.SpikingFPNHead",
                in_channels=[8] * 4,
                in_index=[0, 1, 2, 3],
                feature_strides=[2, 4, 8, 16],
                channels=8,
                num_classes=3,
                neuron=neuron,
            ),
        )
    ).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    model.init_weights()
    lively(model.train(), lambda: model(images))
    with torch.no_grad():
        expected = model(images)
        torch.testing.assert_close(unroll_(model)(images), expected, rtol=0, atol=1e-9)
    assert expected.std() > 1e-6
    assert_spike_driven(model, lambda: model(images))
