import json
import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from spikevision.jobs.train import train


@HOOKS.register_module()
class SignalMyself(Hook):
    """Send a signal to this process after a given training or validation iteration."""

    priority = "VERY_HIGH"

    def __init__(self, *, after_iter=None, in_val_of_epoch=None, signum=signal.SIGTERM):
        self.after_iter, self.in_val_of_epoch, self.signum = after_iter, in_val_of_epoch, signum

    def after_train_iter(self, runner, batch_idx, **_):
        if runner.iter + 1 == self.after_iter:
            os.kill(os.getpid(), self.signum)

    def after_val_iter(self, runner, batch_idx, **_):
        if runner.epoch == self.in_val_of_epoch and batch_idx == 0:
            os.kill(os.getpid(), self.signum)


def record_of(result) -> dict:
    return json.loads((result.run_dir / "run.json").read_text())


def final_state(result) -> dict:
    return torch.load(result.run_dir / "epoch_3.pth")


def assert_same_training(one, two):
    first, second = final_state(one), final_state(two)
    assert first["meta"]["iter"] == second["meta"]["iter"] == 15
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    states = zip(
        first["optimizer"]["state"].values(), second["optimizer"]["state"].values(), strict=True
    )
    assert all(torch.equal(a[key], b[key]) for a, b in states for key in a)
    assert first["param_schedulers"] == second["param_schedulers"]
    assert record_of(one)["metrics"] == record_of(two)["metrics"]


def test_a_run_folder_holds_config_record_and_checkpoint(spec):
    result = train(spec())
    assert result.status == "finished"
    assert result.checkpoint == result.run_dir / "epoch_3.pth"
    assert [path.name for path in result.run_dir.glob("*.pth")] == ["epoch_3.pth"]
    assert (result.run_dir / "config.py").is_file()
    record = record_of(result)
    assert record["status"] == "finished"
    assert record["seed"] == 3
    assert record["iter"] == record["max_iters"] == 15
    assert record["metrics"]["accuracy/top1"] == {
        "value": result.metrics["accuracy/top1"],
        "unit": "%",
    }
    assert record["versions"]["torch"] == torch.__version__
    assert record["duration_s"] > 0
    log = next(result.run_dir.glob("*/*.log")).read_text()
    assert "eta:" in log


def test_two_runs_of_one_process_keep_their_own_scalars(spec):
    """Configs of the mm libraries call their visualizer by one name, and mmengine makes one per name."""
    backends = [{"type": "LocalVisBackend"}]
    visualizer = {"type": "UniversalVisualizer", "name": "visualizer", "vis_backends": backends}
    for folder in ("first", "second"):
        options = {"visualizer": visualizer, "train_cfg.max_epochs": 1}
        run_dir = train(spec(folder, cfg_options=options)).run_dir
        assert len(list(run_dir.glob("*/vis_data/scalars.json"))) == 1


def test_the_written_config_trains_again(spec, tmp_path):
    first = train(spec("one"))
    again = train(
        type(spec())(config=str(first.run_dir / "config.py"), work_dir=str(tmp_path / "two"))
    )
    assert_same_training(first, again)


# 7: in the middle of epoch 2; 10: after its last batch, before its end
@pytest.mark.parametrize("hook", [{"after_iter": 7}, {"after_iter": 10}, {"in_val_of_epoch": 2}])
def test_an_interrupted_and_resumed_run_equals_the_undisturbed_one(spec, hook):
    undisturbed = train(spec("undisturbed"))
    options = {"custom_hooks": [{"type": "SignalMyself", **hook}]}
    stopped = train(spec("stopped", cfg_options=options))
    assert stopped.status == "interrupted"
    assert stopped.signal == signal.SIGTERM
    assert record_of(stopped)["status"] == "interrupted"
    resumed = train(spec("stopped", resume=True))
    assert resumed.run_dir == stopped.run_dir
    assert record_of(resumed)["resumed"] == 1
    assert [path.name for path in resumed.run_dir.glob("*.pth")] == ["epoch_3.pth"]
    assert_same_training(undisturbed, resumed)


@pytest.mark.slow
def test_a_spiking_network_with_drop_path_and_ema_resumes_exactly(spiking_spec):
    averaging = {"type": "EMAHook", "momentum": 0.1}
    undisturbed = train(spiking_spec("undisturbed", cfg_options={"custom_hooks": [averaging]}))
    hooks = [averaging, {"type": "SignalMyself", "after_iter": 8}]
    stopped = train(spiking_spec("stopped", cfg_options={"custom_hooks": hooks}))
    assert stopped.status == "interrupted"
    options = {"custom_hooks": [averaging]}
    resumed = train(spiking_spec("stopped", resume=True, cfg_options=options))
    assert_same_training(undisturbed, resumed)
    averages = [final_state(result)["ema_state_dict"] for result in (undisturbed, resumed)]
    assert all(torch.equal(value, averages[1][name]) for name, value in averages[0].items())


def test_a_run_without_seed_resumes_with_the_seed_that_it_drew(spec):
    options = {"randomness": {"seed": None}}
    stopping = {**options, "custom_hooks": [{"type": "SignalMyself", "after_iter": 7}]}
    stopped = train(spec("stopped", cfg_options=stopping))
    seed = record_of(stopped)["seed"]
    undisturbed = train(spec("undisturbed", cfg_options={"randomness.seed": seed}))
    resumed = train(spec("stopped", resume=str(stopped.checkpoint), cfg_options=options))
    assert_same_training(undisturbed, resumed)


def test_a_stop_in_validation_waits_for_its_end_when_the_epoch_is_not_on_disk(spec):
    options = {"default_hooks.checkpoint.interval": 3}
    undisturbed = train(spec("undisturbed", cfg_options=options))
    stopping = {**options, "custom_hooks": [{"type": "SignalMyself", "in_val_of_epoch": 2}]}
    stopped = train(spec("stopped", cfg_options=stopping))
    assert stopped.checkpoint.name == "interrupted.pth"
    assert (
        torch.load(stopped.checkpoint)["message_hub"]["runtime_info"]["last_epoch_validated"] == 2
    )
    resumed = train(spec("stopped", resume=True, cfg_options=options))
    assert_same_training(undisturbed, resumed)


def test_gradients_of_two_batches_accumulate_to_those_of_one_twice_as_large(spec):
    """Four batches of 4, and two of 8 of the same pictures in the same order."""
    shared = {
        "optim_wrapper.optimizer": dict(type="SGD", lr=0.1, _delete_=True),
        "param_scheduler": [],
        "train_cfg.max_epochs": 1,
        "train_dataloader.drop_last": True,
        "train_dataloader.dataset.indices": 16,
        "train_dataloader.sampler.shuffle": False,
        "train_dataloader.dataset.pipeline.1.prob": 0.0,
        "train_dataloader.dataset.pipeline.2.padding": 0,
    }

    def weights(folder: str, **options) -> dict[str, torch.Tensor]:
        result = train(spec(folder, cfg_options={**shared, **options}))
        return torch.load(result.checkpoint, weights_only=True)["state_dict"]

    accumulated = weights("accumulated", **{"optim_wrapper.accumulative_counts": 2})
    at_once = weights("at-once", **{"train_dataloader.batch_size": 8})
    not_accumulated = weights("plain")
    for name in at_once:
        torch.testing.assert_close(accumulated[name], at_once[name], rtol=1e-5, atol=1e-6)
    assert not all(
        torch.allclose(not_accumulated[name], at_once[name], rtol=1e-5, atol=1e-6)
        for name in at_once
    )


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_last_checkpoint(spec):
    twice = [
        {"type": "SignalMyself", "after_iter": 7, "signum": signal.SIGINT, "_scope_": "mmengine"}
        for _ in range(2)
    ]
    with pytest.raises(KeyboardInterrupt):
        train(spec(cfg_options={"custom_hooks": twice}))
    run_dir = next(Path(spec().work_dir).iterdir())
    assert json.loads((run_dir / "run.json").read_text())["status"] == "interrupted"
    assert torch.load(run_dir / "epoch_1.pth")["meta"]["epoch"] == 1


def test_handlers_are_put_back_after_the_run(spec):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(spec(cfg_options={"train_cfg.max_epochs": 1}))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_resuming_with_another_batch_size_is_refused(spec):
    stopping = {"custom_hooks": [{"type": "SignalMyself", "after_iter": 7}]}
    train(spec(cfg_options=stopping))
    with pytest.raises(ValueError, match="5 batches per epoch, the config now gives 10"):
        train(spec(resume=True, cfg_options={"train_dataloader.batch_size": 2}))


def test_nothing_to_resume_is_said(spec):
    with pytest.raises(FileNotFoundError, match="no run in .* has a checkpoint yet"):
        train(spec(resume=True))


def test_resuming_with_another_architecture_lists_what_differs_and_loses_nothing(spec):
    result = train(spec(cfg_options={"train_cfg.max_epochs": 1}))
    before = {path: path.read_bytes() for path in result.run_dir.iterdir() if path.is_file()}
    with pytest.raises(
        ValueError, match=r"another model.*classifier.2.weight \(2, 84\) instead of \(7, 84\)"
    ):
        train(spec(resume=True, cfg_options={"model.backbone.num_classes": 7}))
    assert before == {path: path.read_bytes() for path in before}


def test_resuming_from_a_truncated_checkpoint_is_refused(spec):
    result = train(spec(cfg_options={"train_cfg.max_epochs": 1}))
    result.checkpoint.write_bytes(result.checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match="epoch_1.pth"):
        train(spec(resume=True))


def test_an_unknown_key_of_ours_names_class_and_key(spec):
    options = {
        "train_dataloader.dataset.pipeline": [
            {"type": "spikevision.SafeLoadImage", "on_eror": "skip"}
        ]
    }
    with pytest.raises(TypeError, match="SafeLoadImage.*on_eror"):
        train(spec(cfg_options=options))


@pytest.mark.parametrize("broken", [b"", b"no picture at all"])
def test_an_unreadable_image_stops_the_epoch_with_its_name(spec, pictures, broken):
    path = pictures / "train" / "left" / "3.png"
    path.write_bytes(broken)
    with pytest.raises(ValueError, match=r"cannot read image '.*left/3.png'.*on_error='skip'"):
        train(spec())


def test_an_unreadable_image_can_be_left_out_by_a_config_field(spec, pictures):
    (pictures / "train" / "left" / "3.png").write_bytes(b"no picture at all")
    result = train(spec(cfg_options={"train_dataloader.dataset.pipeline.0.on_error": "skip"}))
    assert result.status == "finished"
    assert "left out image" in next(result.run_dir.glob("*/*.log")).read_text()


def test_a_failed_run_says_so_in_its_record(spec, pictures):
    (pictures / "train" / "left" / "3.png").write_bytes(b"no picture at all")
    with pytest.raises(ValueError, match="cannot read image"):
        train(spec())
    record = json.loads(next(Path(spec().work_dir).glob("*/run.json")).read_text())
    assert record["status"] == "failed"
    assert "left/3.png" in record["error"]
