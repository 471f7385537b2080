from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from mmdet.registry import DATASETS, TRANSFORMS
from shipped_configs import build, parameters

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "detection"
CONFIGS = sorted(FOLDER.glob("*.py"))
PARAMETERS = {
    "mask-rcnn_meta-spikeformer-15m_t1_8xb2-12e_coco": 34_863_320,
    "mask-rcnn_meta-spikeformer-15m_t1_8xb2-36e_coco": 34_863_320,
    "mask-rcnn_meta-spikeformer-15m_t4_8xb2-12e_coco": 34_863_320,
    "mask-rcnn_meta-spikeformer-31m_t1_8xb2-12e_coco": 51_053_040,
    "mask-rcnn_meta-spikeformer-55m_t1_8xb2-12e_coco": 75_007_728,
    "mask-rcnn_e-spikeformer-10m_t1_8xb2-12e_coco": 21_172_240,
    "mask-rcnn_e-spikeformer-19m_t1_8xb2-12e_coco": 38_738_616,
    "cascade-mask-rcnn_meta-spikeformer-15m_t1_8xb2-36e_coco": 67_791_590,
    "retinanet_meta-spikeformer-15m_t1_8xb2-12e_coco": 24_595_676,
    "fcos_meta-spikeformer-15m_t1_8xb2-12e_coco": 22_809_410,
}


def test_the_configs_that_others_build_on_are_there():
    assert {path.stem for path in CONFIGS} == set(PARAMETERS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_builds_a_stock_detector_of_the_known_size(path):
    model = build(Config.fromfile(path))
    assert type(model).__module__.startswith("mmdet.")
    assert parameters(model) == PARAMETERS[path.stem]


def test_mask_rcnn_has_the_published_size_part_by_part():
    model = build(Config.fromfile(FOLDER / "mask-rcnn_meta-spikeformer-15m_t1_8xb2-12e_coco.py"))
    c, conv = 256, 9 * 256 * 256 + 256
    assert parameters(model.backbone) == 15_112_208 - (360 * 1000 + 1000)  # without its classifier
    assert parameters(model.neck) == (64 + 128 + 256 + 360) * c + 4 * c + 4 * conv
    assert parameters(model.rpn_head) == conv + (c * 3 + 3) + (c * 12 + 12)
    box_head = (49 * c * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 * 81 + 81) + (1024 * 320 + 320)
    assert parameters(model.roi_head.bbox_head) == box_head
    assert parameters(model.roi_head.mask_head) == 4 * conv + (4 * c * c + c) + (c * 80 + 80)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_published_and_spiking_form_have_the_same_size(path):
    config = Config.fromfile(path)
    if "roi_head" not in config.model:
        pytest.skip("one form only")
    boxes = config.model.roi_head.bbox_head
    for head in boxes if isinstance(boxes, list) else [boxes]:
        head.form = "published"
    assert parameters(build(config)) == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_anchors_keep_the_usual_sizes_on_true_strides(path):
    model = build(Config.fromfile(path))
    head = model.rpn_head if hasattr(model, "rpn_head") else model.bbox_head
    strides = [width for width, _ in head.prior_generator.strides]
    specs = model.neck.feature_specs(model.backbone.feature_specs())
    assert strides == [spec.stride for spec in specs]
    if hasattr(head.prior_generator, "base_sizes"):
        assert list(head.prior_generator.base_sizes) == [
            strides[0] * 2**level for level in range(5)
        ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_classes_schedule_and_time_steps_are_those_of_the_name_and_the_data(path):
    config = Config.fromfile(path)
    classes = DATASETS.get("CocoDataset").METAINFO["classes"]
    model = build(config)
    head = model.roi_head.bbox_head if hasattr(model, "roi_head") else model.bbox_head
    for stage in head if isinstance(head, torch.nn.ModuleList) else [head]:
        assert stage.num_classes == len(classes) == 80
    assert f"_t{config.model.backbone.time_steps}_" in path.stem
    assert f"-{config.model.backbone.arch}_" in path.stem
    assert f"_8xb{config.train_dataloader.batch_size}-{config.train_cfg.max_epochs}e_" in path.stem
    assert config.train_cfg.max_epochs == config.param_scheduler[-1].end
    assert max(config.param_scheduler[-1].milestones) < config.train_cfg.max_epochs
    assert config.auto_scale_lr.base_batch_size == 8 * config.train_dataloader.batch_size
    assert config.model.data_preprocessor.pad_size_divisor % 16 == 0  # the backbone's stride


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_pipelines_load_what_the_model_learns_from(path):
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        for loader in (config.train_dataloader, config.val_dataloader):
            assert [TRANSFORMS.build(step) for step in loader.dataset.pipeline]
    masks = "mask-rcnn" in path.stem
    load = next(s for s in config.train_dataloader.dataset.pipeline if s.type == "LoadAnnotations")
    assert load.get("with_mask", False) == masks
    metric = config.val_evaluator.metric
    assert ("segm" in metric) == masks
    assert "bbox" in metric


@pytest.mark.slow  # mmengine writes a log line for each of a thousand parameters
def test_norms_are_not_decayed():
    from mmengine.optim import build_optim_wrapper

    config = Config.fromfile(FOLDER / "retinanet_meta-spikeformer-15m_t1_8xb2-12e_coco.py")
    model = build(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    group_of = {id(p): group for group in wrapper.param_groups for p in group["params"]}
    norms = {
        id(p)
        for m in model.modules()
        if isinstance(m, torch.nn.BatchNorm2d)
        for p in m.parameters()
    }
    for p in model.parameters():
        assert group_of[id(p)]["weight_decay"] == (0.0 if id(p) in norms else 0.05)
        assert group_of[id(p)]["lr"] == 2e-4


def test_metafile_lists_configs_that_exist_and_says_what_its_figures_are():
    for model in yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]:
        assert (ROOT / model["Config"]).is_file()
        assert model["Status"] == "quoted from paper"
        assert model["Metadata"]["Parameters"] == PARAMETERS[model["Name"]]
        assert (
            round(PARAMETERS[model["Name"]] / 1e6, 1) == model["Metadata"]["Quoted parameters (M)"]
        )


def test_readme_lists_every_config_with_its_size():
    text = (FOLDER / "README.md").read_text()
    for path in CONFIGS:
        line = next(line for line in text.splitlines() if f"`{path.name}`" in line)
        assert f"{PARAMETERS[path.stem]:,}" in line
