"""The deploy job on a tiny detector and a tiny segmenter, and what test and infer make of the artefacts."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

import spikevision  # noqa: F401  (answers mmcv's operators)
from spikevision.jobs.config import load_config
from spikevision.jobs.deploy import deploy
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.runtime import build_model
from spikevision.jobs.spec import RunSpec

pytestmark = pytest.mark.slow

SHALLOW = {"model.backbone.arch.depths": (1, 1)}


class Made(NamedTuple):
    """A checkpoint, what was deployed from it, and how both are named to a job."""

    config: str
    checkpoint: str
    folder: Path
    card: dict

    def spec(self, path, **kwargs) -> RunSpec:
        return RunSpec(config=self.config, checkpoint=str(path), cfg_options=SHALLOW, **kwargs)


@pytest.fixture(scope="module", params=["tiny_detector", "tiny_segmentor"])
def made(request, tmp_path_factory):
    scope = {"tiny_detector": "mmdet", "tiny_segmentor": "mmseg"}[request.param]
    pytest.importorskip(f"{scope}.models", reason=f"{scope} is not installed")
    config, trained = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("deployed")
    init_default_scope(scope)
    torch.manual_seed(0)  # another test may have made the files that the config names
    model = build_model(load_config(config, options=SHALLOW))
    for layer in (*model.backbone.modules(), *model.neck.modules()):
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.weight, 4.0)  # so that an untrained network fires
    meta = torch.load(trained, weights_only=True)["meta"]
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "shallow.pth")
    options = {**SHALLOW, "deploy_cfg": {"images": 2}}
    spec = RunSpec(
        config=config,
        checkpoint=str(folder / "shallow.pth"),
        output=str(folder / "out"),
        cfg_options=options,
    )
    return Made(config, str(spec.checkpoint), folder / "out", deploy(spec))


def test_backbone_and_neck_are_the_program_and_the_heads_stay_beside_it(made):
    equality = made.card["equality"]
    assert equality["images"] == 2
    assert equality["largest_difference"] < 1e-4 * equality["output_scale"]
    assert equality["same_answer"] is None
    assert made.card["accuracy_percent"] is None
    assert {file.name for file in made.folder.iterdir()} == {"card.json", "program.pt2", "rest.pth"}


def test_the_test_job_finds_what_it_finds_with_the_checkpoint(made, tmp_path):
    found = [
        evaluate(made.spec(path, work_dir=str(tmp_path))).metrics
        for path in (made.checkpoint, made.folder)
    ]
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        if "time" not in name:
            assert found[1][name] == pytest.approx(value, abs=1e-3, nan_ok=True), name


def test_the_infer_job_answers_for_every_picture(made, tmp_path):
    images = Path(made.config).parent / "data" / "images"
    images = images / "validation" if (images / "validation").is_dir() else images
    infer(made.spec(made.folder, inputs=str(images), output=str(tmp_path)))
    written = json.loads((tmp_path / "predictions.json").read_text())
    assert len(written["predictions"]) == len(list(images.glob("*.*"))) > 0


def test_an_artefact_without_its_heads_is_refused(made, tmp_path):
    folder = tmp_path / "headless"
    shutil.copytree(made.folder, folder)
    (folder / "rest.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"rest\.pth"):
        evaluate(made.spec(folder, work_dir=str(tmp_path)))
