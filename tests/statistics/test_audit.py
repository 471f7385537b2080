import pytest
import torch
from torch import nn

from spikevision.layers import DepthwiseSeparableBN, RepConvBN, SpikingSelfAttention, fuse_
from spikevision.statistics import Record, SpikeRecorder, audit, breaks_rule
from spikevision.statistics.audit import FIRST, REP_CONV, SEP_CONV, SEW, SILENT
from spikevision.testing import build_classifier

META = dict(type="MetaSpikeFormer", arch=dict(embed_dims=(4, 8, 16, 16), num_heads=2), time_steps=2)
SPIKFORMER = dict(
    type="Spikformer", variant="cifar", arch=dict(embed_dims=16, depth=1, num_heads=2), time_steps=4
)


def active(backbone: dict) -> nn.Module:
    torch.manual_seed(0)
    model = build_classifier(backbone, 5).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.constant_(module.weight, 2.0)
        if isinstance(
            module, SpikingSelfAttention
        ):  # a few tokens alone do not reach the published threshold
            module.attention_neuron.v_threshold = 0.01
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32))
    return model.eval()


def audited(model: nn.Module):
    with SpikeRecorder(model) as recorder, torch.no_grad():
        model(torch.randn(4, 3, 32, 32))
    return audit(model, recorder.record)


def reasons(findings) -> dict[str, str]:
    return {finding.layer: finding.reason for finding in findings if finding.reason}


def test_meta_spikeformer_as_trained_breaks_the_rule_inside_its_rep_and_sep_convolutions():
    findings = audited(active(META))
    assert breaks_rule(findings)
    found = reasons(findings)
    assert found.pop("backbone.stem.conv") == FIRST
    assert set(found.values()) == {REP_CONV, SEP_CONV}
    assert list(found.values()).count(REP_CONV) == 8 * 4 * 2
    assert list(found.values()).count(SEP_CONV) == 4


def test_meta_spikeformer_with_everything_fused_is_spike_driven_behind_its_first_layer():
    findings = audited(fuse_(active(META), RepConvBN, DepthwiseSeparableBN))
    assert list(reasons(findings)) == ["backbone.stem.conv"]
    assert not breaks_rule(findings)


def test_spikformer_feeds_sums_of_spikes_to_its_weights_and_real_values_to_its_classifier():
    found = reasons(audited(active(SPIKFORMER)))
    attention = "backbone.stages.3.block0.attention.body"
    assert all(found[f"{attention}.{name}.conv"] == SEW for name in "qkv")
    assert "classifier" in found["head.fc"]
    assert f"{attention}.out.conv" not in found


def test_a_network_that_does_not_fire_is_not_acquitted():
    model = active(META)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    findings = {finding.layer: finding for finding in audited(model)}
    fc = findings["head.fc"]
    assert (fc.input, fc.reason) == ("silent", SILENT)


def test_an_empty_record_cannot_be_audited():
    with pytest.raises(ValueError, match="record"):
        audit(nn.Linear(1, 1), Record())
