import json
import warnings

import pytest
from tiny_training import CONFIG, write_pictures

from spikevision.jobs.deploy import deploy
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train

pytestmark = pytest.mark.slow

MODEL = {
    "_delete_": True,
    "type": "ImageClassifier",
    "backbone": {
        "type": "spikevision.Spikformer",
        "variant": "cifar",
        "arch": {"embed_dims": 16, "depth": 1, "num_heads": 2},
        "time_steps": 2,
        "in_channels": 1,
    },
    "head": {
        "type": "spikevision.SpikingClsHead",
        "num_classes": 2,
        "in_channels": 16,
        "spiking": False,
    },
    "data_preprocessor": {"mean": [127.5], "std": [64.0], "num_classes": 2},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Spec of a tiny trained classifier, and the card of what was deployed from it to ``out``."""
    folder = tmp_path_factory.mktemp("deploy")
    config = folder / "tiny.py"
    config.write_text(CONFIG.format(root=write_pictures(folder / "data"), imports=[], hooks=[]))
    options = {"model": MODEL, "train_cfg.max_epochs": 1, "deploy_cfg": {"images": 6}}

    def spec(**kwargs) -> RunSpec:
        given = {"cfg_options": options, **kwargs}
        return RunSpec(config=str(config), work_dir=str(folder / "runs"), **given)

    checkpoint = str(train(spec()).checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        card = deploy(spec(checkpoint=checkpoint, output=str(folder / "out")))
    return spec, checkpoint, folder, card


def test_the_card_says_what_it_takes_and_how_equal_it_is(made):
    _, _, folder, card = made
    assert json.loads((folder / "out" / "card.json").read_text()) == json.loads(json.dumps(card))
    assert card["input"]["shape"] == [1, 32, 32]
    assert card["preprocessing"]["mean"] == [127.5]
    assert card["time_steps"] == 2
    assert len(card["classes"]) == 2
    assert card["equality"]["images"] == 6
    assert card["equality"]["largest_difference"] < 1e-4
    assert card["accuracy_percent"]["deployed"] == card["accuracy_percent"]["trained"]
    assert card["folding_difference_float64"] < 1e-10


def test_test_and_infer_take_the_artefact_and_answer_as_with_the_checkpoint(made):
    spec, checkpoint, folder, _ = made
    out = str(folder / "out")
    accuracy = [
        evaluate(spec(checkpoint=path)).metrics["accuracy/top1"] for path in (checkpoint, out)
    ]
    assert accuracy[0] == accuracy[1]
    pictures = str(folder / "data" / "test")
    found = []
    for path in (checkpoint, out):
        result = infer(spec(checkpoint=path, inputs=pictures))
        found.append(json.loads((result.run_dir / "predictions.json").read_text()))
    assert found[0]["classes"] == found[1]["classes"]
    for one, other in zip(found[0]["predictions"], found[1]["predictions"], strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)


def test_an_output_that_exists_an_unknown_checkpoint_and_wrong_settings_are_refused(made):
    spec, checkpoint, folder, _ = made
    with pytest.raises(ValueError, match="exists already"):
        deploy(spec(checkpoint=checkpoint, output=str(folder / "out")))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        deploy(spec(checkpoint="nowhere.pth", output=str(folder / "new")))
    wrong = {"model": MODEL, "deploy_cfg": {"weights": "int4"}}
    with pytest.raises(ValueError, match="int4"):
        deploy(spec(checkpoint=checkpoint, output=str(folder / "new"), cfg_options=wrong))
    assert not (folder / "new").exists()


def test_an_artefact_of_another_model_and_counting_its_spikes_are_refused(made):
    spec, _, folder, _ = made
    out = str(folder / "out")
    other = {"model": MODEL, "model.backbone.time_steps": 4}
    with pytest.raises(ValueError, match="deployed from another model than the config's"):
        evaluate(spec(checkpoint=out, cfg_options=other))
    with pytest.raises(FileNotFoundError, match=r"has no card\.json"):
        evaluate(spec(checkpoint=str(folder)))
    with pytest.raises(ValueError, match="leave out --spike-stats"):
        evaluate(spec(checkpoint=out, spike_stats=True))
