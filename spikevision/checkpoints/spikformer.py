"""Names of the official Spikformer weights in their three variants."""

from spikevision.checkpoints.key_map import KeyMap

__all__ = ["SPIKFORMER_CIFAR", "SPIKFORMER_EVENT", "SPIKFORMER_IMAGENET"]

_STEM = {"proj_conv": "stem.conv", "proj_bn": "stem.bn"}
for _index in (1, 2, 3):
    _STEM[f"proj_conv{_index}"] = f"stages.{_index}.conv.conv"
    _STEM[f"proj_bn{_index}"] = f"stages.{_index}.conv.bn"
_STEM |= {"rpe_conv": "stages.3.position.body.conv", "rpe_bn": "stages.3.position.body.bn"}


def _block(layer: str) -> dict[str, str]:
    """Modules of a transformer block, whose weight layers are called ``conv`` or ``linear``."""
    names = {"q": "q", "k": "k", "v": "v", "proj": "out"}
    table: dict[str, str] = {}
    for kind, ours in ((layer, "conv"), ("bn", "bn")):
        table |= {
            f"attn.{theirs}_{kind}": f"attention.body.{name}.{ours}"
            for theirs, name in names.items()
        }
        table |= {f"mlp.fc{index}_{kind}": f"mlp.body.fc{index}.{ours}" for index in (1, 2)}
    return table


def _key_map(layer: str, dead: tuple[str, ...], signature: set[str]) -> KeyMap:
    return KeyMap(
        scopes={
            "patch_embed": ("backbone", _STEM),
            r"block\.(\d+)": (r"backbone.stages.3.block\1", _block(layer)),
            "head": ("head.fc", {"": ""}),
        },
        # built and stored, but never called: both LayerNorms of every block, and more in the event variant
        dead=(r"block\.\d+\.norm[12]\.(weight|bias)", *dead),
        signature=frozenset({"patch_embed.proj_conv.weight", *signature}),
    )


SPIKFORMER_IMAGENET = _key_map("conv", (), {"block.0.attn.q_conv.weight"})
SPIKFORMER_CIFAR = _key_map("linear", (), {"block.0.attn.q_linear.weight"})
SPIKFORMER_EVENT = _key_map(
    "conv", ("pos_embed", r"norm\.(weight|bias)"), {"block.0.attn.q_conv.weight", "pos_embed"}
)
