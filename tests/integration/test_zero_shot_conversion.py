"""CLIP from a published checkpoint to a spiking classifier, by the commands that a user types."""

import json

import pytest
import torch
from mmengine.registry import DefaultScope
from small_clip import BACKBONE, HEAD, SmallCLIP, write_vocabulary
from tiny_training import CONFIG, write_pictures

from spikevision.cli.main import main
from spikevision.conversion import STAConfig, convert
from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model
from spikevision.jobs.weights import load_weights

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Config and checkpoint of a zero-shot classifier."""
    folder = tmp_path_factory.mktemp("clip")
    config, source, out = folder / "clip.py", folder / "ViT.pt", folder / "clip.pth"
    text = CONFIG.replace("grayscale", "color")
    text = text.format(root=write_pictures(folder / "pictures"), imports=[], hooks=[])
    preprocessor = dict(mean=[127.5] * 3, std=[64.0] * 3)
    text += f"model = dict(type='ImageClassifier', backbone={BACKBONE}, head={HEAD})\n"
    text += f"data_preprocessor = {preprocessor}\n"
    text += "conversion = dict(preset='ecmt', time_steps=4, rules={'head': None}, layer_images=2)\n"
    config.write_text(text)
    torch.save(SmallCLIP().state_dict(), source)
    (folder / "names.txt").write_text("photo\nof\n")
    vocabulary = write_vocabulary(folder / "merges.txt.gz")
    words = ["import", str(source), "--classes", str(folder / "names.txt"), "--prompts", "plain"]
    assert main([*words, "--vocabulary", str(vocabulary), "-o", str(out)]) == 0
    return config, out


def classifier(config, checkpoint):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = build_model(load_config(config))
    load_weights(model, checkpoint)
    model.eval()
    return model


@pytest.mark.parametrize("rules", [{"head": None}, {}], ids=["head in floating point", "all"])
def test_without_neurons_it_equals_the_ann_at_every_step(imported, rules):
    model = classifier(*imported)
    with torch.no_grad():
        wanted = model(IMAGES)
    snn = convert(model, [IMAGES[:2]], STAConfig(preset="exact"), rules=rules)
    for found in snn.run(IMAGES, 3, at=[1, 2, 3]).values():
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_convert_and_test_by_command(imported, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["convert", *map(str, imported), "-o", str(out)]) == 0
    assert "agreement with the ANN %" in capsys.readouterr().out
    found = json.loads((out / "conversion.json").read_text())
    names = [each["name"] for each in found["populations"]]
    assert any("backbone.layers.0" in name for name in names)
    assert not any(name.startswith("head") for name in names)
    ann, *_, last = found["measurements"]["stages"]
    files = [str(out / "config.py"), str(out / "model.safetensors")]
    assert main(["test", *files, "--spike-stats", "--work-dir", str(tmp_path / "runs")]) == 0
    [run] = tmp_path.glob("runs/*/run.json")
    record = json.loads(run.read_text())
    assert record["metrics"]["accuracy/top1"]["value"] == last["metrics"]["accuracy/top1"]
    assert json.loads(run.with_name("statistics.json").read_text())["summary"]["energy"]
    assert ann["agreement_percent"] == 100
