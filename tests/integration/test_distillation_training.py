"""The ordinary jobs on a distilled model: train, go on, test; with the plain student's config too."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from tiny_training import CONFIG, SPIKING, write_pictures

from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

STUDENT = {name: value for name, value in SPIKING.items() if name != "_delete_"}
TEACHER = {
    "type": "ImageClassifier",
    "backbone": {"type": "LeNet5", "num_classes": 2},
    "head": {"type": "ClsHead"},
    "data_preprocessor": STUDENT["data_preprocessor"],
}
KEPT = {"default_hooks.checkpoint.max_keep_ckpts": 3}
EMA = {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the tiny data, its config and a teacher's weights."""
    folder = tmp_path_factory.mktemp("distillation")
    root = write_pictures(folder / "data")
    (folder / "tiny.py").write_text(CONFIG.format(root=root, imports=[], hooks=[]))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        torch.save(MODELS.build(TEACHER).state_dict(), folder / "teacher.pth")
    return folder


def spec(folder, runs: str, **kwargs) -> RunSpec:
    head = {**STUDENT["head"], "distillation_head": True}
    model = {
        "_delete_": True,
        "type": "spikevision.Distiller",
        "student": {**STUDENT, "head": head},
        "teacher": {"config": TEACHER, "checkpoint": str(folder / "teacher.pth")},
        "losses": [
            {"type": "HardLogits", "distillation_head": True},
            {"type": "Features", "teacher": "backbone.features.3", "channels": (32, 16)},
        ],
        "cache_dir": str(folder / "cache"),
    }
    options = {"model": model, **KEPT, **kwargs.pop("cfg_options", {})}
    return RunSpec(
        config=str(folder / "tiny.py"), work_dir=str(folder / runs), cfg_options=options, **kwargs
    )


@pytest.mark.slow
def test_a_distillation_trains_goes_on_exactly_and_is_tested_as_the_plain_student(folder):
    result = train(spec(folder, "runs", cfg_options=EMA))
    assert result.status == "finished"
    final = torch.load(result.checkpoint, weights_only=True)
    again = train(spec(folder, "runs", cfg_options=EMA, resume=str(result.run_dir / "epoch_1.pth")))
    resumed = torch.load(again.checkpoint, weights_only=True)
    for part in ("state_dict", "ema_state_dict", "training_state"):
        assert final[part].keys() == resumed[part].keys()
        assert all(torch.equal(value, resumed[part][name]) for name, value in final[part].items())
    assert list(final["training_state"]) == ["1.adapter.weight", "1.adapter.bias"]
    (folder / "teacher.pth").rename(folder / "gone.pth")
    distilled = evaluate(spec(folder, "tests", checkpoint=str(result.checkpoint)))
    (folder / "gone.pth").rename(folder / "teacher.pth")
    head = {**STUDENT["head"], "distillation_head": True}
    plain = RunSpec(
        config=str(folder / "tiny.py"),
        work_dir=str(folder / "tests"),
        checkpoint=str(result.checkpoint),
        cfg_options={"model": {**SPIKING, "head": head}},
    )
    assert evaluate(plain).metrics["accuracy/top1"] == distilled.metrics["accuracy/top1"]
