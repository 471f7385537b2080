import math
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.jobs.config import load_config

pytest.importorskip("mmpretrain.models", reason="mmpretrain is not installed")
from mmpretrain.registry import HOOKS, TRANSFORMS
from shipped_configs import build

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "configs" / "classification", ROOT / "configs" / "quick"]
PUBLISHED = sorted(FOLDERS[0].glob("*.py"))
QUICK = sorted(FOLDERS[1].glob("*mnist*.py"))  # detection and segmentation have their own test file
CONFIGS = PUBLISHED + QUICK

# published sizes, to the unit; a classifier of 100 classes has 90 x (D + 1) more than one of 10
PARAMETERS = {
    "meta-spikeformer-15m_in1k": 15_112_208,
    "meta-spikeformer-31m_in1k": 31_333_864,
    "meta-spikeformer-55m_in1k": 55_350_248,
    "e-spikeformer-5m_in1k": 5_105_608,
    "e-spikeformer-10m_in1k": 10_023_112,
    "e-spikeformer-19m_in1k": 18_987_504,
    # a second classifier, which sizes are published without
    "meta-spikeformer-15m-distilled_in1k": 15_112_208 + 1000 * 361,
    "meta-spikeformer-31m-distilled_in1k": 31_333_864 + 1000 * 481,
    "meta-spikeformer-55m-distilled_in1k": 55_350_248 + 1000 * 641,
    "spikformer-8-384_in1k": 16_816_024,
    "spikformer-6-512_in1k": 23_373_352,
    "spikformer-8-512_in1k": 29_689_384,
    "spikformer-10-512_in1k": 36_005_416,
    "spikformer-8-768_in1k": 66_338_632,
    "spikformer-4-256_cifar10": 4_155_178,
    "spikformer-2-384_cifar10": 5_765_050,
    "spikformer-4-384_cifar10": 9_324_730,
    "spikformer-4-256_cifar100": 4_155_178 + 90 * 257,
    "spikformer-2-384_cifar100": 5_765_050 + 90 * 385,
    "spikformer-4-384_cifar100": 9_324_730 + 90 * 385,
    "spikformer-2-256_cifar10-dvs": 2_566_666,
    "spikformer-2-256_dvs128-gesture": 2_566_666 + 257,
    "spikformer-2-256_n-caltech101": 2_566_666 + 91 * 257,
}
CLASSES = {
    "in1k": 1000,
    "cifar10": 10,
    "cifar100": 100,
    "cifar10-dvs": 10,
    "dvs128-gesture": 11,
    "n-caltech101": 101,
    "fashion-mnist": 10,
    "mnist-5k": 10,
}

# recipes of the papers: epochs -> rate at the start, its peak, epochs until then, its end, epochs until then
RECIPES = {
    200: (2.4e-9, 2.4e-3, 10, 1e-6, 200),  # Meta-SpikeFormer, T=1: 6e-4 x 1024 / 256
    50: (1.5e-11, 1.5e-5, 5, 1e-6, 50),  # Meta-SpikeFormer, T=4: 2e-5 x 192 / 256
    310: (None, 5e-4, 20, 1e-5, 300),  # Spikformer, ImageNet and CIFAR
    106: (1e-5, 1e-3, 10, 1e-5, 96),  # Spikformer, event frames
}
E_SPIKEFORMER = (4.8e-9, 4.8e-3, 5, 1e-6, 200)  # 200 epochs as well: 6e-4 x 2048 / 256
FIRST_RATE_OF_310_EPOCHS = {"in1k": 1e-6, "cifar10": 1e-5, "cifar100": 1e-5}
OPTIMIZERS = {200: ("Lamb", 0.05), 50: ("Lamb", 0.05), 106: ("AdamW", 0.06)}
OPTIMIZERS_OF_310_EPOCHS = {"in1k": 0.05, "cifar10": 0.06, "cifar100": 0.06}
STEPS_PER_EPOCH = 2


@cache
def load(path: Path):
    """Each config is read once: bases of the mm libraries take a second each. Tests leave it as it is."""
    return load_config(path)


def named(path: Path) -> str:
    return path.stem


def model_and_data(path: Path) -> str:
    return f"{path.stem.split('_')[0]}_{path.stem.split('_')[-1]}"


def data_of(path: Path) -> str:
    return path.stem.split("_")[-1]


def network_of(config):
    """The model that is tested in the end: of a distillation, the student."""
    return config.model.get("student", config.model)


def tiny_network() -> nn.Module:
    """A weight that decays, and a bias and a norm that do not."""
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def optimizer_of(config, network: nn.Module | None = None):
    """The config's optimizer on a tiny network; without mixed precision, which asks for a GPU."""
    wrapper = {**config.optim_wrapper, "type": "OptimWrapper"}
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return build_optim_wrapper(network or tiny_network(), wrapper).optimizer


def learning_rates(config, *, steps_per_epoch: int = STEPS_PER_EPOCH) -> list[float]:
    """Rate at the start of each epoch and after the last one, stepped as mmengine's hook does."""
    optimizer = optimizer_of(config)
    schedulers = []
    for scheduler in config.param_scheduler:
        scheduler = dict(scheduler)
        if scheduler.pop("convert_to_iter_based", False):
            kind = PARAM_SCHEDULERS.get(scheduler.pop("type"))
            schedulers.append(
                kind.build_iter_from_epoch(
                    optimizer=optimizer, epoch_length=steps_per_epoch, **scheduler
                )
            )
        else:
            schedulers.append(PARAM_SCHEDULERS.build({**scheduler, "optimizer": optimizer}))
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(config.train_cfg.max_epochs):
        for step in range(steps_per_epoch):
            for scheduler in schedulers:
                if not scheduler.by_epoch or step == steps_per_epoch - 1:
                    scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_head_fits_the_backbone_and_the_data(path):
    config = load(path)
    model = build(config)
    model = getattr(model, "student", model)
    assert model.head.fc.in_features == model.backbone.feature_specs()[-1].channels
    assert network_of(config).head.num_classes == CLASSES[data_of(path)]
    assert config.data_preprocessor.num_classes == CLASSES[data_of(path)]


@pytest.mark.parametrize("path", PUBLISHED, ids=named)
def test_model_has_the_published_number_of_parameters(path):
    model = build(load(path))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[model_and_data(path)]


def test_every_published_size_has_a_config():
    assert {model_and_data(path) for path in PUBLISHED} == set(PARAMETERS)


@pytest.mark.parametrize("path", PUBLISHED, ids=named)
def test_architecture_in_the_name_is_the_one_that_is_built(path):
    family, _, arch = path.stem.split("_")[0].partition("former-")
    backbone = network_of(load(path)).backbone
    assert backbone.arch == arch.removesuffix("-distilled")
    assert (
        backbone.type
        == {
            "meta-spike": "spikevision.MetaSpikeFormer",
            "spik": "spikevision.Spikformer",
            "e-spike": "spikevision.ESpikeFormer",
        }[family]
    )


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_pipelines_and_hooks_build(path):
    config = load(path)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
            assert [TRANSFORMS.build(step) for step in loader.dataset.pipeline]
        for hook in config.get("custom_hooks", []):
            HOOKS.build(hook)


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_weights_decay_and_biases_and_norms_do_not(path):
    config = load(path)
    decay = config.optim_wrapper.optimizer.weight_decay
    found = [
        group["weight_decay"]
        for group in optimizer_of(config).param_groups
        for _ in group["params"]
    ]
    assert found == [decay, 0.0, 0.0, 0.0]  # convolution: weight, bias; norm: weight, bias


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_optimizer_takes_a_step_that_no_clipping_shortens(path):
    """A gradient 10,000 times as large gives a first moment 10,000 times as large, unless it is clipped."""
    config = load(path)
    moments = []
    for scale in (1.0, 1e4):
        network = tiny_network()
        for p in network.parameters():
            p.grad = torch.full_like(p, scale)
        optimizer = optimizer_of(config, network)
        optimizer.step()
        moments.append(optimizer.state[network[0].weight]["exp_avg"].mean().item())
    assert moments[1] == pytest.approx(1e4 * moments[0])


@pytest.mark.parametrize("path", PUBLISHED, ids=named)
def test_optimizer_is_the_published_one(path):
    config = load(path)
    epochs = config.train_cfg.max_epochs
    known = OPTIMIZERS.get(epochs) or ("AdamW", OPTIMIZERS_OF_310_EPOCHS[data_of(path)])
    optimizer = optimizer_of(config)
    assert (type(optimizer).__name__, optimizer.defaults["weight_decay"]) == known


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("path", PUBLISHED, ids=named)
def test_learning_rate_goes_the_published_way(path):
    config = load(path)
    is_e_spikeformer = path.stem.startswith("e-spikeformer")
    recipe = E_SPIKEFORMER if is_e_spikeformer else RECIPES[config.train_cfg.max_epochs]
    first, peak, warm, last, cold = recipe
    rates = learning_rates(config)
    assert rates[0] == pytest.approx(first or FIRST_RATE_OF_310_EPOCHS[data_of(path)])
    assert rates[warm] == max(rates) == pytest.approx(peak)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[(warm + cold) // 2] == pytest.approx(half_cosine(peak, last, warm, cold), rel=1e-3)
    # mmengine stops one step before the end of the half cosine
    tail = config.train_cfg.max_epochs + 1 - cold
    assert rates[cold:] == pytest.approx([last] * tail, rel=0.1)


def half_cosine(peak: float, last: float, warm: int, cold: int) -> float:
    """Rate in the epoch half-way down, rounded to a whole epoch."""
    done = ((warm + cold) // 2 - warm) / (cold - warm)
    return last + (peak - last) * (1 + math.cos(math.pi * done)) / 2


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("path", QUICK, ids=named)
def test_a_quick_schedule_lasts_as_long_as_its_training(path):
    config = load(path)
    assert config.param_scheduler[-1].end == config.train_cfg.max_epochs
    peak = config.optim_wrapper.optimizer.lr
    rates = learning_rates(config, steps_per_epoch=400)  # longer than a warm-up by iterations
    assert rates[0] < 0.02 * peak
    assert 0.45 * peak < max(rates) <= peak  # seen at the ends of epochs only, of a short training at half-time
    assert rates[-1] < 0.02 * peak


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_config_says_where_its_numbers_come_from(path):
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert "arXiv:" in " ".join(head) or "All numbers are ours" in " ".join(head)


@pytest.mark.parametrize("path", CONFIGS, ids=named)
def test_metafile_has_an_entry_of_the_true_size(path):
    models = yaml.safe_load((path.parent / "metafile.yml").read_text())["Models"]
    (entry,) = [model for model in models if model["Name"] == path.stem]
    config = load(path)
    assert entry["Metadata"]["Time steps"] == network_of(config).backbone.time_steps
    size = sum(p.numel() for p in build(config).parameters())
    assert entry["Metadata"]["Parameters"] == size


def test_a_distillation_weighs_labels_and_teacher_alike_as_published():
    for path in PUBLISHED:
        if "-distilled" in path.stem:
            config = load(path)
            model = build(config)
            assert (model.task_weight, [loss.weight for loss in model.losses]) == (0.5, [0.5])
            assert model.student.head.taught
            assert config.model.teacher.config.model_name == "caformer_b36.sail_in22k_ft_in1k"
            assert config.init_from
