"""Stock mmdet detectors from the shipped configs, shrunk: loss, backward and prediction on random images."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
from tiny_detectors import CLASSES, CONFIGS, SIDE, batch, build, losses_of, shrunk, total


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_layer_behind_the_backbone_is_driven_by_spikes_that_are_there(name):
    model = build(shrunk(name)).train()
    rates = {}
    for key, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and "backbone" not in key:
            module.register_forward_pre_hook(
                lambda module, args, key=key: rates.setdefault(key, []).append(
                    (set(args[0].unique().tolist()) <= {0.0, 1.0}, args[0].mean().item())
                )
            )
    with torch.no_grad():
        losses_of(model, batch())
    assert len(rates) >= 12
    assert [key for key, calls in rates.items() if not all(binary for binary, _ in calls)] == []
    assert [key for key, calls in rates.items() if max(rate for _, rate in calls) < 0.02] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_prediction_is_in_the_pixels_of_the_original_images(name):
    model = build(shrunk(name)).eval()
    results = model.test_step(batch())
    assert len(results) == 3
    for result in results:
        boxes = result.pred_instances.bboxes
        assert boxes.shape[1:] == (4,)
        assert ((boxes >= 0) & (boxes <= SIDE)).all()
        assert (result.pred_instances.labels < CLASSES).all()
        if "masks" in result.pred_instances:
            assert result.pred_instances.masks.shape[1:] == (SIDE, SIDE)


@pytest.mark.parametrize("name", ["mask-rcnn", "cascade"])
def test_samplers_that_look_at_features_get_those_of_their_image(name):
    config = shrunk(name)
    stages = config.model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler = dict(
            type="OHEMSampler", num=16, pos_fraction=0.25, add_gt_as_proposals=True
        )
    model = build(config).train()
    with torch.no_grad():
        assert total(losses_of(model, batch())).isfinite()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mask-rcnn", "fcos"])
def test_a_few_steps_on_one_batch_lower_the_loss(name):
    config = shrunk(name)
    model = build(config).train()
    config.optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=5e-3))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    history = [model.train_step(batch(), wrapper)["loss"].item() for _ in range(8)]
    assert min(history[-3:]) < 0.8 * history[0]


@pytest.mark.parametrize("name", ["mask-rcnn", "fcos"])
def test_half_precision_gives_the_losses_of_single_precision(name):
    model = build(
        shrunk(name)
    ).eval()  # losses of the same proposals need the same batch statistics
    data = model.data_preprocessor(batch(), training=True)
    full = losses_of_eval(model, data)
    with torch.autocast("cpu", torch.bfloat16):
        half = losses_of_eval(model, data)
    half.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert half.item() == pytest.approx(full.item(), rel=0.1)


def losses_of_eval(model, data):
    torch.manual_seed(0)  # samplers draw
    return total(model(**data, mode="loss"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AmpOptimWrapper needs a GPU")
@pytest.mark.parametrize("name", CONFIGS)
def test_the_amp_wrapper_with_accumulation_takes_a_step(name):
    config = shrunk(name)
    model = build(config).cuda().train()
    wrapper = build_optim_wrapper(
        model,
        dict(
            type="AmpOptimWrapper", accumulative_counts=2, optimizer=config.optim_wrapper.optimizer
        ),
    )
    wrapper.initialize_count_status(model, 0, 2)
    before = {n: p.clone() for n, p in model.named_parameters()}
    model.train_step(batch(), wrapper)
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    model.train_step(batch(), wrapper)
    assert [n for n, p in model.named_parameters() if torch.equal(p, before[n])] == []
