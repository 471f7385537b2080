from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
from mmseg.registry import DATASETS, HOOKS
from shipped_configs import build, parameters

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "segmentation"
CONFIGS = sorted(FOLDER.glob("*.py"))
PARAMETERS = {
    "semantic-fpn_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512": 16_470_142,
    "semantic-fpn_meta-spikeformer-15m_t4_4xb4-160k_ade20k-512x512": 16_470_142,
    "semantic-fpn_meta-spikeformer-31m_t1_4xb4-160k_ade20k-512x512": 35_066_262,
    "semantic-fpn_meta-spikeformer-55m_t1_4xb4-160k_ade20k-512x512": 58_992_278,
    "semantic-fpn_e-spikeformer-10m_t1_4xb4-160k_ade20k-512x512": 11_479_542,
    "semantic-fpn_e-spikeformer-19m_t1_4xb4-160k_ade20k-512x512": 20_346_462,
    "upernet_meta-spikeformer-15m_t1_4xb4-160k_ade20k-512x512": 22_599_614,
}


def test_the_configs_that_others_build_on_are_there():
    assert {path.stem for path in CONFIGS} == set(PARAMETERS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_builds_a_stock_segmentor_of_the_known_size(path):
    model = build(Config.fromfile(path))
    assert type(model).__name__ == "EncoderDecoder"
    used_to_predict = parameters(model) - parameters(
        getattr(model, "auxiliary_head", torch.nn.Identity())
    )
    assert used_to_predict == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_part_is_built_for_the_levels_that_the_backbone_declares(path):
    model = build(Config.fromfile(path))
    specs = model.backbone.feature_specs()
    if model.with_neck:
        specs = model.neck.feature_specs(specs)
    heads = [model.decode_head, *([model.auxiliary_head] if model.with_auxiliary_head else [])]
    for head in heads:
        indices = head.in_index if isinstance(head.in_index, (list, tuple)) else [head.in_index]
        channels = (
            head.in_channels if isinstance(head.in_channels, (list, tuple)) else [head.in_channels]
        )
        assert [specs[i].channels for i in indices] == list(channels)
        if hasattr(head, "feature_strides"):
            assert [specs[i].stride for i in indices] == list(head.feature_strides)
    assert model.data_preprocessor.test_cfg["size_divisor"] % max(s.stride for s in specs) == 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_classes_crops_and_time_steps_are_those_of_the_name_and_the_data(path):
    config = Config.fromfile(path)
    classes = DATASETS.get("ADE20KDataset").METAINFO["classes"]
    assert config.model.decode_head.num_classes == len(classes) == 150
    assert (
        config.train_dataloader.dataset.type
        == config.val_dataloader.dataset.type
        == "ADE20KDataset"
    )
    assert tuple(config.model.data_preprocessor.size) == tuple(config.crop_size) == (512, 512)
    assert f"_t{config.model.backbone.time_steps}_" in path.stem
    assert f"-{config.model.backbone.arch}_" in path.stem
    assert f"_4xb{config.train_dataloader.batch_size}-160k_" in path.stem
    assert config.train_cfg.max_iters == 160_000 == config.param_scheduler[-1].end
    assert config.auto_scale_lr.base_batch_size == 4 * config.train_dataloader.batch_size


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_hooks_and_learning_rates_build(path):
    from mmengine.optim import build_optim_wrapper

    config = Config.fromfile(path)
    for hook in config.custom_hooks:
        HOOKS.build(hook)
    model = build(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        wrapper = build_optim_wrapper(model, {**config.optim_wrapper, "type": "OptimWrapper"})
    rate_of = {id(p): group["lr"] for group in wrapper.param_groups for p in group["params"]}
    rates = {name: rate_of[id(p)] for name, p in model.named_parameters()}
    assert {rate for name, rate in rates.items() if name.startswith("backbone")} == {1e-3}
    assert {rate for name, rate in rates.items() if "head" in name} == {2e-3}


def test_metafile_lists_configs_that_exist_and_says_what_its_figures_are():
    models = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    for model in models:
        assert (ROOT / model["Config"]).is_file()
        assert model["Status"] in ("trained here", "official weights", "quoted from paper")
        assert model["Metadata"]["Parameters"] == PARAMETERS[model["Name"]]
        # to the two decimals and the one that the paper prints (it cuts 58.99 to 58.9)
        assert (
            0
            <= abs(PARAMETERS[model["Name"]] / 1e6 - model["Metadata"]["Quoted parameters (M)"])
            < 0.1
        )
