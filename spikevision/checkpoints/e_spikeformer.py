"""Names of the official E-SpikeFormer weights (base models of Spike-driven Transformer V3)."""

from spikevision.checkpoints.key_map import KeyMap
from spikevision.checkpoints.meta_spikeformer import stage_scopes

__all__ = ["E_SPIKEFORMER"]

_LAYER = {"0": "conv", "1": "bn"}  # a published Sequential of convolution and norm


def _sep_conv(theirs: str, ours: str) -> dict[str, str]:
    names = {"pwconv1": "expand", "dwconv": "depthwise", "pwconv2": "reduce"}
    return {
        f"{theirs}.{name}.{index}": f"{ours}.body.{our}.{kind}"
        for name, our in names.items()
        for index, kind in _LAYER.items()
    }


_CONV_BLOCK = _sep_conv("Conv", "sep_conv") | {
    f"{kind}{index}": f"channel_conv.body.fc{index}.{kind}"
    for index in (1, 2)
    for kind in ("conv", "bn")
}
_TRANSFORMER_BLOCK = (
    _sep_conv("conv", "sep_conv")
    | {
        f"attn.{theirs}_conv.{index}": f"attention.body.{ours}.{kind}"
        for theirs, ours in {"q": "q", "k": "k", "v": "v", "proj": "out"}.items()
        for index, kind in _LAYER.items()
    }
    | {
        f"mlp.fc{index}_{kind}": f"mlp.body.fc{index}.{kind}"
        for index in (1, 2)
        for kind in ("conv", "bn")
    }
)

E_SPIKEFORMER = KeyMap(
    scopes=stage_scopes(_CONV_BLOCK, _TRANSFORMER_BLOCK),
    dead=(),
    signature=frozenset(
        {"downsample1_1.encode_conv.weight", "ConvBlock1_1.0.Conv.pwconv1.0.weight"}
    ),
)
