import pytest
import torch

from spikevision.checkpoints import FAMILIES, convert_official, detect_family
from spikevision.checkpoints.official import unwrap

WEIGHT = torch.zeros(1)


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"a.weight": WEIGHT},
        {"state_dict": {"a.weight": WEIGHT}, "epoch": 3},
        {"model": {"module.a.weight": WEIGHT}, "optimizer": {}},
        {"state_dict": {"backbone.a.weight": WEIGHT}},
    ],
)
def test_weights_come_out_of_their_container_and_prefix(checkpoint):
    assert list(unwrap(checkpoint)) == ["a.weight"]


def test_a_file_without_weights_is_refused():
    with pytest.raises(ValueError, match="no weights found.*epoch"):
        unwrap({"epoch": 3})


@pytest.mark.parametrize(
    ("family", "key", "name"),
    [
        ("meta-spikeformer", "downsample1_1.encode_conv.bias", "backbone.stem.conv.bias"),
        (
            "meta-spikeformer",
            "block3.11.attn.proj_conv.0.body.2.1.weight",
            "backbone.stages.3.block11.attention.body.out.pointwise2.weight",
        ),
        ("meta-spikeformer", "head_kd.bias", "head.fc_distillation.bias"),
        (
            "e-spikeformer",
            "ConvBlock2_2.0.Conv.dwconv.1.running_mean",
            "backbone.stages.2.block1.sep_conv.body.depthwise.bn.running_mean",
        ),
        (
            "e-spikeformer",
            "block4.1.conv.pwconv2.0.weight",
            "backbone.stages.4.block1.sep_conv.body.reduce.conv.weight",
        ),
        (
            "e-spikeformer",
            "block3.5.attn.proj_conv.1.bias",
            "backbone.stages.3.block5.attention.body.out.bn.bias",
        ),
        (
            "spikformer-cifar",
            "block.1.attn.q_linear.bias",
            "backbone.stages.3.block1.attention.body.q.conv.bias",
        ),
        (
            "spikformer-event",
            "patch_embed.rpe_bn.running_var",
            "backbone.stages.3.position.body.bn.running_var",
        ),
    ],
)
def test_official_names_become_ours(family, key, name):
    assert convert_official({key: WEIGHT}, family) == {name: WEIGHT}


def test_pointwise_layers_become_convolutions():
    converted = convert_official(
        {"block.0.attn.q_linear.weight": torch.ones(4, 3), "head.weight": torch.ones(2, 4)},
        "spikformer-cifar",
    )
    shapes = {key.split(".")[-2]: tuple(value.shape) for key, value in converted.items()}
    assert shapes == {"conv": (4, 3, 1, 1), "fc": (2, 4)}


@pytest.mark.parametrize(
    ("family", "key"),
    [("spikformer-imagenet", "block.7.norm1.weight"), ("spikformer-event", "pos_embed")],
)
def test_weights_that_the_published_model_never_uses_are_dropped(family, key):
    assert convert_official({key: WEIGHT}, family) == {}


@pytest.mark.parametrize(
    "key",
    ["pos_embed", "block.0.attn.q_conv.scale.weight", "headx.weight", "block.x.attn.q_conv.weight"],
)
def test_unknown_keys_are_listed(key):
    with pytest.raises(ValueError, match=f"1 keys that spikformer-imagenet does not have: {key}"):
        convert_official({key: WEIGHT}, "spikformer-imagenet")


def test_unknown_family_lists_the_known_ones():
    with pytest.raises(ValueError, match="meta-spikeformer"):
        convert_official({}, "resnet")
    with pytest.raises(ValueError, match="none of the families"):
        detect_family({"layer1.0.conv1.weight": WEIGHT})


def test_no_two_official_modules_share_one_of_ours():
    for key_map in FAMILIES.values():
        for prefix, table in key_map.scopes.values():
            assert len(set(table.values())) == len(table), prefix
