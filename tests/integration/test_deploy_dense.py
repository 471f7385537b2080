"""The deploy job on a tiny detector and a tiny segmenter, and what test and infer make of the artefacts."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from spikevision.jobs.deploy import deploy
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.spec import RunSpec

pytestmark = pytest.mark.slow


class Made(NamedTuple):
    """A config, its checkpoint, the artefact of both, and the card of that."""

    config: str
    checkpoint: str
    folder: Path
    card: dict


@pytest.fixture(scope="module", params=["tiny_detector", "tiny_segmentor"])
def made(request, tmp_path_factory):
    scope = {"tiny_detector": "mmdet", "tiny_segmentor": "mmseg"}[request.param]
    pytest.importorskip(f"{scope}.models", reason=f"{scope} is not installed")
    config, checkpoint = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("deployed") / "out"
    spec = RunSpec(
        config=config,
        checkpoint=checkpoint,
        output=str(folder),
        cfg_options={"deploy_cfg": {"images": 2}},
    )
    return Made(config, checkpoint, folder, deploy(spec))


def test_backbone_and_neck_are_the_program_and_the_heads_stay_beside_it(made):
    equality = made.card["equality"]
    assert equality["images"] == 2
    assert equality["largest_difference"] < 1e-4 * equality["output_scale"]
    assert equality["same_answer"] is None
    assert made.card["accuracy_percent"] is None
    assert {file.name for file in made.folder.iterdir()} == {"card.json", "program.pt2", "rest.pth"}


def test_the_test_job_finds_what_it_finds_with_the_checkpoint(made, tmp_path):
    found = [
        evaluate(RunSpec(config=made.config, checkpoint=str(path), work_dir=str(tmp_path))).metrics
        for path in (made.checkpoint, made.folder)
    ]
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        if "time" not in name:
            assert found[1][name] == pytest.approx(value, abs=1e-3), name


def test_the_infer_job_answers_as_with_the_checkpoint(made, tmp_path):
    images = Path(made.config).parent / "data" / "images"
    images = images / "validation" if (images / "validation").is_dir() else images
    entries = []
    for name, path in (("trained", made.checkpoint), ("deployed", made.folder)):
        spec = RunSpec(
            config=made.config,
            checkpoint=str(path),
            inputs=str(images),
            output=str(tmp_path / name),
        )
        infer(spec)
        written = json.loads((tmp_path / name / "predictions.json").read_text())
        entries.append(written["predictions"])
    assert entries[0]
    assert entries[0] == entries[1]


def test_an_artefact_without_its_heads_is_refused(made, tmp_path):
    folder = tmp_path / "headless"
    shutil.copytree(made.folder, folder)
    (folder / "rest.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"rest\.pth"):
        evaluate(RunSpec(config=made.config, checkpoint=str(folder), work_dir=str(tmp_path)))
