"""CLIP in both towers, small, written down once more from the paper, with OpenAI's names; and the names of others."""

import gzip
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, CONTEXT, EMBED, VOCABULARY = 64, 12, 24, 519
MERGES = ["p h", "ph o", "pho t", "phot o</w>", "o f</w>"]  # 512 bytes + 5 merges + start and end


BACKBONE = dict(
    type="VisionTransformer",
    arch=dict(embed_dims=WIDTH, num_layers=2, num_heads=1, feedforward_channels=4 * WIDTH),
    img_size=32,
    patch_size=8,
    pre_norm=True,
    norm_cfg=dict(type="LN", eps=1e-5),
    layer_cfgs=dict(act_cfg=dict(type="QuickGELU")),
)
HEAD = dict(type="spikevision.ZeroShotClsHead", num_classes=2, in_channels=WIDTH, embed_dims=EMBED)


def write_vocabulary(path: Path) -> Path:
    """A vocabulary in OpenAI's format: a line of version, then merges."""
    path.write_bytes(gzip.compress("\n".join(["#version", *MERGES]).encode()))
    return path


class Transformer(nn.Module):
    """Blocks of mmpretrain's CLIP on ``[L, N, C]``."""

    def __init__(self, layers: int, mask: Tensor | None = None) -> None:
        from mmpretrain.models.utils.clip_generator_helper import ResidualAttentionBlock

        super().__init__()
        blocks = [ResidualAttentionBlock(WIDTH, 1, mask) for _ in range(layers)]
        self.resblocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.resblocks(x.transpose(0, 1)).transpose(0, 1)


class Visual(nn.Module):
    """The image tower, of images of 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 8, 8, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn(17, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.transformer = Transformer(2)
        self.proj = nn.Parameter(torch.randn(WIDTH, EMBED))

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv1(images).flatten(2).mT
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], 1)
        x = self.transformer(self.ln_pre(x + self.positional_embedding))
        return self.ln_post(x[:, 0]) @ self.proj


class SmallCLIP(nn.Module):
    """Both towers; random weights of some size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.visual = Visual()
        mask = torch.full((CONTEXT, CONTEXT), -torch.inf).triu(1)
        self.transformer = Transformer(2, mask)
        self.token_embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, WIDTH))
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, EMBED))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        for name, parameter in self.named_parameters():
            if "resblocks" in name:
                nn.init.normal_(parameter, std=0.2)
        self.eval()

    @torch.no_grad()
    def encode_texts(self, tokens: list[list[int]]) -> Tensor:
        """Unit vectors of texts, whose last token is the end."""
        rows = torch.zeros(len(tokens), CONTEXT, dtype=torch.long)
        for row, text in zip(rows, tokens, strict=True):
            row[: len(text)] = torch.tensor(text)
        x = self.transformer(self.token_embedding(rows) + self.positional_embedding)
        ends = torch.stack([x[i, len(text) - 1] for i, text in enumerate(tokens)])
        return F.normalize(self.ln_final(ends) @ self.text_projection, dim=-1)

    @torch.no_grad()
    def logits(self, images: Tensor, classes: Tensor) -> Tensor:
        """Scaled cosines with vectors of classes ``[classes, EMBED]``."""
        return self.logit_scale.exp() * F.normalize(self.visual(images), dim=-1) @ classes.T


def hugging_face_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """As ``transformers.CLIPModel`` has them."""
    found = {
        "logit_scale": weights["logit_scale"],
        "visual_projection.weight": weights["visual.proj"].T.contiguous(),
        "text_projection.weight": weights["text_projection"].T.contiguous(),
        "vision_model.embeddings.class_embedding": weights["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": weights["visual.conv1.weight"],
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
    }
    towers = {"vision_model": "visual.", "text_model": ""}
    norms = {"visual.": {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post"}}
    norms[""] = {"final_layer_norm": "ln_final"}
    found["text_model.embeddings.token_embedding.weight"] = weights["token_embedding.weight"]
    parts = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2"}
    parts |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for theirs, ours in towers.items():
        positions = weights[f"{ours}positional_embedding"]
        found[f"{theirs}.embeddings.position_embedding.weight"] = positions
        for kind in ("weight", "bias"):
            for name, norm in norms[ours].items():
                found[f"{theirs}.{name}.{kind}"] = weights[f"{ours}{norm}.{kind}"]
            for i in range(2):
                block, other = f"{theirs}.encoder.layers.{i}", f"{ours}transformer.resblocks.{i}"
                for name, part in parts.items():
                    found[f"{block}.{name}.{kind}"] = weights[f"{other}.{part}.{kind}"]
                qkv = weights[f"{other}.attn.in_proj_{kind}"].chunk(3)
                for name, value in zip("qkv", qkv, strict=True):
                    found[f"{block}.self_attn.{name}_proj.{kind}"] = value.clone()
    return found


def mmpretrain_names(weights: dict[str, Tensor], classifier: nn.Module) -> dict[str, Tensor]:
    """As mmpretrain's ``CLIPZeroShot`` has them; ``classifier`` holds the same weights under our names."""
    found = {k: v for k, v in weights.items() if not k.startswith("visual.")}
    for name, value in classifier.backbone.state_dict().items():
        found[f"visual.{name}"] = value
    return {**found, "visual_proj.proj": weights["visual.proj"]}
