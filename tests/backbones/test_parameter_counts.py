"""Published sizes, to the unit; Spikformer without the LayerNorms that its code stores and never uses."""

import pytest
import torch

from spikevision.testing import build_classifier

SPIKFORMER = {
    ("imagenet", "8-384", 1000): 16_816_024,
    ("imagenet", "6-512", 1000): 23_373_352,
    ("imagenet", "8-512", 1000): 29_689_384,
    ("imagenet", "10-512", 1000): 36_005_416,
    ("imagenet", "8-768", 1000): 66_338_632,
    ("cifar", "4-256", 10): 4_155_178,
    ("cifar", "2-384", 10): 5_765_050,
    ("cifar", "4-384", 10): 9_324_730,
    ("cifar", "4-384", 100): 9_359_380,
    ("event", "2-256", 10): 2_566_666,
}
E_SPIKEFORMER = {"5m": 5_105_608, "10m": 10_023_112, "19m": 18_987_504}
META = {
    ("15m", False): 15_112_208,
    ("31m", False): 31_333_864,
    ("55m", False): 55_350_248,
    ("55m", True): 55_991_248,
}


def count(backbone: dict, classes: int, distillation_head: bool = False) -> int:
    with torch.device("meta"):
        model = build_classifier(backbone, classes, distillation_head)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("variant", "arch", "classes"), SPIKFORMER)
def test_spikformer_has_the_published_size(variant, arch, classes):
    backbone = dict(type="Spikformer", variant=variant, arch=arch)
    assert count(backbone, classes) == SPIKFORMER[variant, arch, classes]


@pytest.mark.parametrize(("arch", "distillation_head"), META)
def test_meta_spikeformer_has_the_published_size(arch, distillation_head):
    backbone = dict(type="MetaSpikeFormer", arch=arch)
    assert count(backbone, 1000, distillation_head) == META[arch, distillation_head]


@pytest.mark.parametrize("arch", E_SPIKEFORMER)
def test_e_spikeformer_has_the_published_size(arch):
    assert count(dict(type="ESpikeFormer", arch=arch), 1000) == E_SPIKEFORMER[arch]
