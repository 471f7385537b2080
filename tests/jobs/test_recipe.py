import pytest
import torch
from mmengine.config import Config

from spikevision.jobs.config import load_config
from spikevision.jobs.recipe import set_time_steps
from spikevision.jobs.train import train


def test_time_steps_reach_the_backbone_of_a_student_and_not_that_of_its_teacher():
    backbone = dict(type="spikevision.Spikformer")
    config = Config(
        dict(
            time_steps=2,
            model=dict(
                student=dict(backbone=backbone), teacher=dict(config=dict(backbone=backbone))
            ),
        )
    )
    set_time_steps(config)
    assert config.model.student.backbone.time_steps == 2
    assert "time_steps" not in config.model.teacher.config.backbone


def test_time_steps_of_a_model_that_does_not_spike_are_refused(config):
    with pytest.raises(ValueError, match="no spiking backbone"):
        load_config(config, options={"time_steps": 2})


def test_training_goes_on_at_another_t_by_two_fields(spiking_spec, spiking_checkpoint):
    options = {"init_from": spiking_checkpoint, "time_steps": 3, "train_cfg.max_epochs": 1}
    still = {"optim_wrapper.optimizer.lr": 0.0, "optim_wrapper.optimizer.weight_decay": 0.0}
    result = train(spiking_spec(cfg_options={**options, **still}))
    start = torch.load(spiking_checkpoint, weights_only=True)["state_dict"]
    end = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(start[name], end[name]) for name in end if name.endswith("weight"))
    assert load_config(result.run_dir / "config.py").model.backbone.time_steps == 3


def test_a_run_folder_stands_for_its_last_checkpoint(spiking_spec, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty' holds no checkpoint"):
        train(spiking_spec(cfg_options={"init_from": str(tmp_path / "empty")}))


def test_only_a_distillation_head_may_start_untrained(spiking_spec, spiking_checkpoint, tmp_path):
    from mmengine.registry import MODELS, init_default_scope

    from spikevision.jobs.recipe import start_from_weights

    spec = spiking_spec(cfg_options={"init_from": spiking_checkpoint})
    config = load_config(spec.config, options=spec.cfg_options)
    init_default_scope("mmpretrain")
    config.model.head.distillation_head = True
    start_from_weights(config)
    assert config.load_from == spiking_checkpoint
    config.load_from = None
    config.model.backbone.arch.embed_dims = [8, 16, 24, 40]
    assert MODELS.build(config.model)
    with pytest.raises(ValueError, match="of another model than the config"):
        start_from_weights(config)


def test_two_starting_points_are_refused(spiking_spec, spiking_checkpoint):
    both = {"init_from": spiking_checkpoint, "load_from": spiking_checkpoint}
    with pytest.raises(ValueError, match="both set"):
        train(spiking_spec(cfg_options=both))
