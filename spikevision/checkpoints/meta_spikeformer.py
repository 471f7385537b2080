"""Names of the official Meta-SpikeFormer weights (Spike-driven Transformer V2)."""

from spikevision.checkpoints.key_map import KeyMap

__all__ = ["META_SPIKEFORMER", "stage_scopes"]

_DOWNSAMPLE = {"encode_conv": "conv", "encode_bn": "bn"}
_DOWNSAMPLES = {
    "downsample1_1": ("backbone.stem", _DOWNSAMPLE),
    "downsample1_2": ("backbone.stages.1.downsample", _DOWNSAMPLE),
    "downsample2": ("backbone.stages.2.downsample", _DOWNSAMPLE),
    "downsample3": ("backbone.stages.3.downsample", _DOWNSAMPLE),
    "downsample4": ("backbone.stages.4.downsample", _DOWNSAMPLE),
}
_CONV_BLOCK = {
    "Conv.pwconv1": "sep_conv.body.expand.conv",
    "Conv.bn1": "sep_conv.body.expand.bn",
    "Conv.dwconv": "sep_conv.body.reduce.depthwise",
    "Conv.pwconv2": "sep_conv.body.reduce.pointwise",
    "Conv.bn2": "sep_conv.body.reduce.bn",
    "conv1": "channel_conv.body.fc1.conv",
    "bn1": "channel_conv.body.fc1.bn",
    "conv2": "channel_conv.body.fc2.conv",
    "bn2": "channel_conv.body.fc2.bn",
}
_REP_CONV = {
    "0.body.0": "pointwise1",
    "0.body.1.bn": "bn1",
    "0.body.2.0": "depthwise",
    "0.body.2.1": "pointwise2",
    "0.body.2.2": "bn2",
    "1": "bn3",
}
_TRANSFORMER_BLOCK = {
    f"attn.{theirs}_conv.{inner}": f"attention.body.{ours}.{name}"
    for theirs, ours in {"q": "q", "k": "k", "v": "v", "proj": "out"}.items()
    for inner, name in _REP_CONV.items()
} | {
    f"mlp.fc{index}_{kind}": f"mlp.body.fc{index}.{kind}"
    for index in (1, 2)
    for kind in ("conv", "bn")
}


def stage_scopes(
    conv_block: dict[str, str], transformer_block: dict[str, str]
) -> dict[str, tuple[str, dict[str, str]]]:
    """Scopes of downsampling, blocks and classifier, which both generations name alike."""
    return {
        **_DOWNSAMPLES,
        r"ConvBlock1_1\.0": ("backbone.stages.0.block0", conv_block),
        r"ConvBlock1_2\.0": ("backbone.stages.1.block0", conv_block),
        r"ConvBlock2_1\.0": ("backbone.stages.2.block0", conv_block),
        r"ConvBlock2_2\.0": ("backbone.stages.2.block1", conv_block),
        r"block3\.(\d+)": (r"backbone.stages.3.block\1", transformer_block),
        r"block4\.(\d+)": (r"backbone.stages.4.block\1", transformer_block),
        "head": ("head.fc", {"": ""}),
    }


META_SPIKEFORMER = KeyMap(
    scopes={
        **stage_scopes(_CONV_BLOCK, _TRANSFORMER_BLOCK),
        "head_kd": ("head.fc_distillation", {"": ""}),
    },
    dead=(),
    signature=frozenset({"downsample1_1.encode_conv.weight", "ConvBlock1_1.0.Conv.pwconv1.weight"}),
)
