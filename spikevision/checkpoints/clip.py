"""CLIP's vision transformers as zero-shot classifiers: weights as OpenAI, Hugging Face or mmpretrain publish them.

They were trained with QuickGELU. Weights that were trained with the exact GELU (most of OpenCLIP's own) have the same
names and shapes and would answer wrongly: a folder of Hugging Face says which it is, a single file does not.

The classifier is stock: mmpretrain's ``ImageClassifier`` and ``VisionTransformer`` under
:class:`spikevision.heads.zero_shot.ZeroShotClsHead`. The text tower is used here, once, and not kept.
"""

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikevision.checkpoints.clip_text import TextTower, Tokenizer, class_embeddings
from spikevision.checkpoints.official import unwrap
from spikevision.compat.checkpoint import safe_load

__all__ = ["clip_names", "import_clip", "read_clip"]

NOT_WEIGHTS = r"(input_resolution|context_length|vocab_size|.*\.position_ids)"
TRANSPOSED = ("visual.proj", "visual_proj.proj", "text_projection")  # kept as [C, D]
ACTIVATION = "quick_gelu"  # Hugging Face's name, and what it takes where nothing is said
IN_FOLDER = ("model.safetensors", "pytorch_model.bin")

PARAMETER = "(weight|bias)"
PLACES = {
    # OpenAI, and mmpretrain's text tower
    r"visual\.class_embedding": "backbone.cls_token",
    r"visual\.positional_embedding": "backbone.pos_embed",
    r"visual\.conv1\.weight": "backbone.patch_embed.projection.weight",
    r"visual\.ln_pre\.": "backbone.pre_norm.",
    r"visual\.ln_post\.": "backbone.ln1.",
    r"visual\.proj": "head.projection.weight",
    r"token_embedding\.weight": "text.tokens.weight",
    r"positional_embedding": "text.positions",
    r"ln_final\.": "text.norm.",
    r"text_projection": "text.projection.weight",
    r"logit_scale": "head.logit_scale",
    # mmpretrain's image tower has our names already
    r"visual_proj\.proj": "head.projection.weight",
    r"visual\.(cls_token|pos_embed)": r"backbone.\1",
    r"visual\.((?:layers|patch_embed|pre_norm|ln1)\..*)": r"backbone.\1",
    # Hugging Face
    r"vision_model\.embeddings\.class_embedding": "backbone.cls_token",
    r"vision_model\.embeddings\.position_embedding\.weight": "backbone.pos_embed",
    r"vision_model\.embeddings\.patch_embedding\.weight": "backbone.patch_embed.projection.weight",
    r"vision_model\.pre_layrnorm\.": "backbone.pre_norm.",
    r"vision_model\.post_layernorm\.": "backbone.ln1.",
    r"visual_projection\.weight": "head.projection.weight",
    r"text_model\.embeddings\.token_embedding\.weight": "text.tokens.weight",
    r"text_model\.embeddings\.position_embedding\.weight": "text.positions",
    r"text_model\.final_layer_norm\.": "text.norm.",
    r"text_projection\.weight": "text.projection.weight",
}
BLOCKS = {
    r"visual\.transformer\.resblocks\.(\d+)\.": "backbone.layers",
    r"transformer\.resblocks\.(\d+)\.": "text.blocks.layers",
    r"vision_model\.encoder\.layers\.(\d+)\.": "backbone.layers",
    r"text_model\.encoder\.layers\.(\d+)\.": "text.blocks.layers",
}
# part of a block by OpenAI, by Hugging Face, in our image tower, in our text tower
PARTS = (
    ("attn.in_proj_", "self_attn.in_proj_", "attn.qkv.", "self_attn.in_proj_"),
    ("attn.out_proj.", "self_attn.out_proj.", "attn.proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1.", "ffn.layers.0.0.", "linear1."),
    ("mlp.c_proj.", "mlp.fc2.", "ffn.layers.1.", "linear2."),
    ("ln_1.", "layer_norm1.", "ln1.", "norm1."),
    ("ln_2.", "layer_norm2.", "ln2.", "norm2."),
)


def read_clip(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint: a state dict, safetensors, OpenAI's TorchScript archive, or a folder of Hugging Face.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, or holds code, or the folder says that it needs another activation.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        _check_activation(path / "config.json")
        found = [path / name for name in IN_FOLDER if (path / name).is_file()]
        if not found:
            raise FileNotFoundError(f"{str(path)!r} has none of {', '.join(IN_FOLDER)}")
        path = found[0]
    if path.is_file() and _is_torchscript(path):
        return dict(torch.jit.load(path, map_location="cpu").state_dict())  # nothing of it is run
    return safe_load(path)


def _check_activation(config: Path) -> None:
    """Refuse a folder of Hugging Face whose towers have another activation than OpenAI's."""
    about = json.loads(config.read_text()) if config.is_file() else {}
    for tower in ("vision_config", "text_config"):
        found = (about.get(tower) or {}).get("hidden_act", ACTIVATION)
        if found != ACTIVATION:
            raise ValueError(
                f"{str(config)!r} says that these weights need the activation {found!r}, but CLIP is built with "
                f"{ACTIVATION!r} here (as OpenAI trained it): their answers would be wrong; of OpenCLIP take weights "
                "whose name ends in 'quickgelu'"
            )


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def clip_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official weights under our names: ``backbone.``, ``head.`` and ``text.``, in single precision.

    Raises:
        ValueError: If there is a key that CLIP's vision transformers do not have; lists them.
    """
    given = {k: v.float() for k, v in weights.items() if not re.fullmatch(NOT_WEIGHTS, k)}
    live = _joined(given)
    names = {name: _our_name(name) for name in live}
    unknown = sorted(name for name, ours in names.items() if ours is None)
    if unknown:
        raise ValueError(
            f"{len(unknown)} keys that a vision transformer of CLIP does not have: {', '.join(unknown[:8])}"
        )
    found = {ours: live[name] for name, ours in names.items() if ours}
    for name in TRANSPOSED:
        if name in live:
            found[str(names[name])] = live[name].t().contiguous()
    for name in ("backbone.cls_token", "backbone.pos_embed"):
        if name in found:  # [1, L, C]
            found[name] = found[name].reshape(1, -1, found[name].shape[-1])
    return found


def _our_name(name: str) -> str | None:
    for pattern, place in PLACES.items():
        whole = pattern + PARAMETER if pattern.endswith(r"\.") else pattern
        if match := re.fullmatch(whole, name):
            return place + match[1] if place.endswith(".") else match.expand(place)
    for pattern, tower in BLOCKS.items():
        if match := re.match(pattern, name):
            part = _our_part(name[match.end() :], of_image=tower.startswith("backbone"))
            return part and f"{tower}.{match[1]}.{part}"
    return None


def _our_part(part: str, *, of_image: bool) -> str | None:
    """Our name of a weight of a block."""
    for openai, hugging_face, image, text in PARTS:
        for theirs in (openai, hugging_face):
            if re.fullmatch(re.escape(theirs) + PARAMETER, part):
                return (image if of_image else text) + part.removeprefix(theirs)
    return None


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values of Hugging Face in one weight, as everybody else has them."""
    found = dict(weights)
    for name in weights:
        if ".q_proj." in name:
            names = [name.replace(".q_proj.", f".{x}_proj.") for x in "qkv"]
            missing = [each for each in names if each not in found]
            if missing:
                raise ValueError(f"{missing[0]} is missing beside {name}")
            parts = [found.pop(each) for each in names]
            found[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    return found


def import_clip(
    weights: Mapping[str, Any],
    classes: Sequence[str],
    prompts: Sequence[str],
    *,
    vocabulary: str | None = None,
    after_class: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Make a checkpoint of a zero-shot classifier.

    Args:
        weights: What :func:`read_clip` gave.
        classes: Names of the classes, in the order of their labels.
        prompts: Texts with ``{}`` for the name.
        vocabulary: File of merges; None takes the published one.
        after_class: Called after every class, for a bar.

    Returns:
        ``dict(state_dict=..., meta=...)`` for ``torch.save``, with the names of the classes.

    Raises:
        ValueError: If weights are missing or unknown, or classes, prompts or vocabulary do not fit.
    """
    renamed = clip_names(unwrap(weights))
    tower = TextTower.of(
        {k.removeprefix("text."): v for k, v in renamed.items() if k.startswith("text.")}
    )
    tower.to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = Tokenizer(vocabulary, context=len(tower.positions))
    embeddings = class_embeddings(tower, tokenizer, classes, prompts, after_class=after_class)
    state = {name: value for name, value in renamed.items() if not name.startswith("text.")}
    state["head.class_embeddings"] = embeddings
    for name in ("backbone.patch_embed.projection.weight", "head.projection.weight"):
        if name not in state:
            raise ValueError(f"the checkpoint has no image tower of CLIP: {name} is missing")
    meta = dict(family="clip", source="official weights", dataset_meta=dict(classes=list(classes)))
    return dict(state_dict=state, meta=meta)
