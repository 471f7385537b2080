import pytest
import torch
from torch import nn

from spikevision.layers import RepConvBN, SpikingSelfAttention, fuse_
from spikevision.statistics import SpikeRecorder, count_macs
from spikevision.statistics.macs import macs_by_part
from spikevision.testing import build_classifier


def classifier(kind: str, arch) -> nn.Module:
    with torch.device("meta"):
        return build_classifier(dict(type=kind, arch=arch), 1000)


# GMAC per step at 224 x 224: convolutions with the first one, the first one, products of attention
PUBLISHED = {
    "8-384": (4.660, 0.0650, 0.0578),
    "8-512": (8.256, 0.0867, 0.1028),
    "8-768": (18.511, 0.1301, 0.1541),
}
# with the classifier as trained, the same with fused RepConvs, the first convolution, products of attention
PUBLISHED_META = {
    "15m": (6.441, 10.005, 0.059, 0.032),
    "31m": (13.951, 21.312, 0.089, 0.066),
    "55m": (24.699, 37.796, 0.118, 0.117),
}
# with the classifier, products of attention in their order (Q K^T) V, which is not the cheaper one
PUBLISHED_E = {"5m": (1.878, 0.221), "10m": (3.935, 0.313), "19m": (7.200, 0.433)}
TOKENS, HEADS = 14 * 14, 8


def in_g(macs: int, digits: int) -> float:
    return round(macs / 1e9, digits)


@pytest.mark.parametrize("arch", PUBLISHED)
def test_spikformer_has_the_published_macs(arch):
    macs = count_macs(classifier("Spikformer", arch))
    convolutions, first, attention = PUBLISHED[arch]
    assert in_g(macs["first_conv"], 4) == first
    assert in_g(macs["layers"] + macs["first_conv"], 3) == convolutions
    assert in_g(macs["attention"], 4) == attention


@pytest.mark.parametrize("arch", PUBLISHED_META)
def test_meta_spikeformer_has_the_published_macs_as_trained_and_fused(arch):
    trained, fused, first, attention = PUBLISHED_META[arch]
    model = classifier("MetaSpikeFormer", arch).eval()
    classifier_macs = (
        model.head.fc.weight.numel()
    )  # the reference counts it here, and not for Spikformer
    macs = count_macs(model)
    assert in_g(macs["layers"] + macs["first_conv"] + classifier_macs, 3) == trained
    assert (in_g(macs["first_conv"], 3), in_g(macs["attention"], 3)) == (first, attention)
    macs = count_macs(fuse_(model, RepConvBN))
    assert in_g(macs["layers"] + macs["first_conv"] + classifier_macs, 3) == fused


@pytest.mark.parametrize("arch", PUBLISHED_E)
def test_e_spikeformer_has_the_published_macs(arch):
    model = classifier("ESpikeFormer", arch).eval()
    macs = count_macs(model)
    dense = macs["layers"] + macs["first_conv"] + model.head.fc.weight.numel()
    widths = [m.q.conv.out_channels for m in model.modules() if isinstance(m, SpikingSelfAttention)]
    as_published = sum(TOKENS * TOKENS * 5 * width for width in widths)  # V is four times as wide
    assert (in_g(dense, 3), in_g(as_published, 3)) == PUBLISHED_E[arch]
    heads = [width // HEADS for width in widths]
    assert macs["attention"] == sum(HEADS * 2 * TOKENS * 4 * width**2 for width in heads)


def test_nothing_is_computed_and_nothing_changes():
    model = build_classifier(dict(type="Spikformer", variant="cifar", arch="4-256"), 10).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_macs(model, (3, 32, 32))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_macs_of_a_record_are_those_of_the_shapes():
    arch = dict(embed_dims=16, depth=1, num_heads=2)
    model = build_classifier(dict(type="Spikformer", variant="cifar", arch=arch), 4).eval()
    with SpikeRecorder(model) as recorder, torch.no_grad():
        model(torch.randn(3, 3, 8, 12))
    assert macs_by_part(recorder.record) == count_macs(model, (3, 8, 12))


def test_a_plain_network_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(64, 10)
    )
    macs = count_macs(model, (3, 4, 4))
    assert macs == {"first_conv": 16 * 8 * 27, "layers": 16 * 4 * 8, "attention": 0}


def test_event_frames_count_one_step():
    arch = dict(embed_dims=16, depth=1, num_heads=2)
    config = dict(type="Spikformer", variant="event", arch=arch, time_steps=5)
    macs = count_macs(build_classifier(config, 4), (5, 2, 16, 16))
    assert macs["first_conv"] == 16 * 16 * 2 * 2 * 9
