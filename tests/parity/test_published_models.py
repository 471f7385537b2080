"""Our models against the answers of the published ones: same weights, same input, float64."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spikevision.checkpoints import FAMILIES, convert_official, detect_family
from spikevision.testing import build_classifier

DATA = Path(__file__).parent / "data"
META = dict(type="MetaSpikeFormer", arch=dict(embed_dims=(8, 16, 32, 40), num_heads=8))


def spikformer(variant: str, embed_dims: int, depth: int) -> dict:
    arch = dict(embed_dims=embed_dims, depth=depth, num_heads=4)
    return dict(type="Spikformer", variant=variant, arch=arch)


# file -> (family, backbone, official module of a recorded feature -> ours)
CASES = {
    "spikformer_imagenet": (
        "spikformer-imagenet",
        spikformer("imagenet", 64, 2),
        {
            "patch_embed": "stages.3.position",
            "block.0": "stages.3.block0",
            "block.1": "stages.3.block1",
        },
    ),
    "spikformer_cifar": (
        "spikformer-cifar",
        spikformer("cifar", 48, 2),
        {"block.0": "stages.3.block0"},
    ),
    "spikformer_dvs": (
        "spikformer-event",
        spikformer("event", 64, 1),
        {"block.0": "stages.3.block0"},
    ),
    "meta_spikeformer_t4": (
        "meta-spikeformer",
        META,
        {
            "ConvBlock1_2.0": "stages.1.block0",
            "block3.5": "stages.3.block5",
            "block4.1": "stages.4.block1",
        },
    ),
    "meta_spikeformer_t1_kd": (
        "meta-spikeformer",
        dict(META, time_steps=1),
        {
            "ConvBlock1_2.0": "stages.1.block0",
            "block3.5": "stages.3.block5",
            "block4.1": "stages.4.block1",
        },
    ),
}


class Published:
    """One parity file and our model with its weights."""

    def __init__(self, name: str) -> None:
        self.family, backbone, self.features = CASES[name]
        record = load_file(DATA / f"{name}.safetensors")
        self.record = {
            key: value.double() if value.is_floating_point() else value
            for key, value in record.items()
        }
        self.state_dict = self.part("state_dict.")
        self.model = build_classifier(backbone, 10, distillation_head="kd" in name).double()
        self.model.load_state_dict(convert_official(self.state_dict, self.family), strict=True)

    def part(self, prefix: str) -> dict[str, Tensor]:
        return {
            key.removeprefix(prefix): value
            for key, value in self.record.items()
            if key.startswith(prefix)
        }


@pytest.fixture(scope="module", params=CASES)
def published(request) -> Published:
    return Published(request.param)


def outputs_of(model: nn.Module, names: list[str], run) -> tuple[Tensor, dict[str, Tensor]]:
    seen: dict[str, Tensor] = {}
    hooks = [
        model.backbone.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.update({name: output})
        )
        for name in names
    ]
    result = run()
    for hook in hooks:
        hook.remove()
    return result, seen


def test_family_is_recognised_by_its_keys(published):
    assert detect_family(published.state_dict) == published.family


@torch.no_grad()
def test_eval_logits_and_features_equal_the_published_ones(published):
    model = published.model.eval()
    logits, seen = outputs_of(
        model, list(published.features.values()), lambda: model(published.record["input"])
    )
    torch.testing.assert_close(logits, published.record["eval_logits"], rtol=0, atol=1e-9)
    recorded = published.part("eval_feature.")
    assert recorded.keys() == published.features.keys()
    for theirs, ours in published.features.items():
        expected = recorded[theirs]
        feature = seen[ours]
        if expected.dim() == 4:  # tokens: [T, N, C, L], or [T, N, L, C] with linear layers
            feature = feature.flatten(3)
            feature = feature.mT if "cifar" in published.family else feature
        torch.testing.assert_close(feature, expected, rtol=0, atol=1e-9)


def test_train_logits_loss_and_gradient_norms_equal_the_published_ones(published):
    model = published.model.train()
    logits = sum(model.head.forward_heads(model.extract_feat(published.record["input"])))
    torch.testing.assert_close(logits, published.record["train_logits"], rtol=1e-9, atol=1e-12)
    loss = logits.square().mean()
    torch.testing.assert_close(loss, published.record["train_loss"][0], rtol=1e-9, atol=0)
    model.zero_grad()
    loss.backward()
    norms = {name: parameter.grad.norm() for name, parameter in model.named_parameters()}
    for key, expected in published.part("train_grad_norm.").items():
        name = FAMILIES[published.family].rename(key)
        # Some exact gradients are zero (a bias before a normalisation; weights behind a silent map), and what
        # is recorded then are rounding errors: compare on the scale of the largest gradient in the same layer.
        layer = name.rsplit(".", 2)[0]
        scale = max(norm for other, norm in norms.items() if other.startswith(layer)).item()
        torch.testing.assert_close(
            norms[name], expected.squeeze(), rtol=1e-9, atol=1e-9 * scale, msg=key
        )
    assert len(norms) == len(published.part("train_grad_norm.")), "a parameter without a record"
