import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS

from spikevision.jobs.finite_check import NonFiniteError
from spikevision.jobs.train import train


@TRANSFORMS.register_module()
class NaNPixel(BaseTransform):
    """One pixel of one picture is NaN."""

    def transform(self, results):
        results["img"] = results["img"].astype(np.float32)
        if results["img_path"].endswith("left/3.png"):
            results["img"][0, 0] = np.nan
        return results


@HOOKS.register_module()
class SpoilAt(Hook):
    """Before iteration 7, put infinity where the test wants it."""

    def __init__(self, *, where):
        self.where = where

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == 7:
            if self.where == "gradient":
                weight = next(runner.model.backbone.parameters())
                weight.register_hook(lambda gradient: gradient * torch.inf)
            else:
                runner.model.head.loss_module.loss_weight = torch.inf


def run_folder(spec) -> Path:
    return next(Path(spec().work_dir).iterdir())


def with_step(spec, name: str) -> dict:
    """Options that put a transform behind the loading of training images."""
    pipeline = [
        {"type": "spikevision.SafeLoadImage", "color_type": "grayscale"},
        {"type": name, "_scope_": "mmengine"},
        {"type": "PackInputs", "meta_keys": ["img_path"]},
    ]
    return {"train_dataloader.dataset.pipeline": pipeline}


def test_a_nan_pixel_stops_a_spiking_network_although_its_spikes_would_hide_it(spiking_spec):
    with pytest.raises(NonFiniteError, match=r"an input .*iteration [1-5]\. .*mend the data"):
        train(spiking_spec(cfg_options=with_step(spiking_spec, "NaNPixel")))
    (kept,) = run_folder(spiking_spec).glob("nonfinite_batch_iter_*.pt")
    batch = torch.load(kept, weights_only=True)
    broken = [not image.isfinite().all() for image in batch["inputs"]]
    paths = [sample["img_path"] for sample in batch["data_samples"]]
    assert [path.endswith("left/3.png") for path in paths] == broken
    assert sum(broken) == 1
    assert all(sample["gt_label"].shape == (1,) for sample in batch["data_samples"])
    record = json.loads((run_folder(spiking_spec) / "run.json").read_text())
    assert record["status"] == "failed"
    assert paths[0] in record["error"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("loss", r"the loss \(loss\) is NaN or infinite at iteration 7"),
        ("gradient", r"a weight or statistic \(.*weight.*\) is NaN or infinite at iteration 7"),
    ],
)
def test_a_run_that_diverges_stops_with_its_last_good_checkpoint(spec, where, message):
    spoil = {"custom_hooks": [{"type": "SpoilAt", "where": where, "_scope_": "mmengine"}]}
    with pytest.raises(NonFiniteError, match=f"{message}.*lower the learning rate"):
        train(spec(cfg_options=spoil))
    assert (run_folder(spec) / "nonfinite_batch_iter_7.pt").is_file()
    weights = torch.load(run_folder(spec) / "epoch_1.pth")["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())
    assert not (run_folder(spec) / "epoch_2.pth").exists()


def test_without_clip_or_hook_of_the_config_every_run_is_watched(spec):
    result = train(spec(cfg_options={"train_cfg.max_epochs": 1}))
    assert "spikevision.FiniteCheckHook" in (result.run_dir / "config.py").read_text()
