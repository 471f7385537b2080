"""CLIP's checkpoints, as they are published, to zero-shot classifiers: against CLIP written down a second time."""

import json

import pytest
import torch
from mmpretrain.registry import MODELS
from safetensors.torch import save_file
from small_clip import (
    BACKBONE,
    HEAD,
    SmallCLIP,
    hugging_face_names,
    mmpretrain_names,
    write_vocabulary,
)

from spikevision.checkpoints.clip import clip_names, import_clip, read_clip
from spikevision.cli.main import main

CLASSES = ["photo", "of"]
PROMPTS = ["a {}.", "photo of {}"]
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def classifier():
    """Built as configs/_base_/models/clip_vit-base-p32.py builds its own."""
    config = dict(type="mmpretrain.ImageClassifier", _scope_="mmpretrain")
    model = MODELS.build(config | dict(backbone=BACKBONE, head=HEAD))
    model.eval()
    return model


@pytest.fixture(scope="module")
def clip():
    return SmallCLIP()


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return str(write_vocabulary(tmp_path_factory.mktemp("clip") / "merges.txt.gz"))


@pytest.fixture(scope="module")
def wanted(clip):
    """Logits by tokens spelt by hand: 'a</w>' 320, '.</w>' 269, 'photo</w>' 515, 'of</w>' 516, start 517, end 518."""
    photo = clip.encode_texts([[517, 320, 515, 269, 518], [517, 515, 516, 515, 518]]).mean(0)
    of = clip.encode_texts([[517, 320, 516, 269, 518], [517, 515, 516, 516, 518]]).mean(0)
    return clip.logits(IMAGES, torch.nn.functional.normalize(torch.stack([photo, of]), dim=-1))


def logits_of(weights, vocabulary):
    model = classifier()
    state = import_clip(weights, CLASSES, PROMPTS, vocabulary=vocabulary)["state_dict"]
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        return model(IMAGES)


@pytest.mark.parametrize("publisher", ["OpenAI", "Hugging Face", "mmpretrain"])
def test_weights_of_every_publisher_give_the_logits_of_clip(clip, vocabulary, wanted, publisher):
    weights = dict(clip.state_dict())
    if publisher == "Hugging Face":
        weights = hugging_face_names(weights)
    elif publisher == "mmpretrain":
        model = classifier()
        state = {k: v for k, v in clip_names(weights).items() if k.startswith("backbone.")}
        assert not model.load_state_dict(state, strict=False).unexpected_keys
        weights = mmpretrain_names(weights, model)
    torch.testing.assert_close(logits_of(weights, vocabulary), wanted, rtol=0, atol=1e-5)


def test_files_of_every_publisher_are_read(clip, tmp_path):
    weights = clip.state_dict()
    torch.jit.save(torch.jit.trace_module(clip.visual, {"forward": IMAGES}), tmp_path / "a.pt")
    torch.save(weights, tmp_path / "b.pth")
    (tmp_path / "c").mkdir()
    save_file(hugging_face_names(weights), tmp_path / "c" / "model.safetensors")
    archive = read_clip(tmp_path / "a.pt")
    assert torch.equal(archive["proj"], weights["visual.proj"])
    assert read_clip(tmp_path / "b.pth").keys() == weights.keys()
    names = hugging_face_names(weights).keys()
    assert read_clip(tmp_path / "c")["state_dict"].keys() == names
    with pytest.raises(FileNotFoundError, match="has none of model.safetensors"):
        read_clip(tmp_path)


@pytest.mark.parametrize("tower", ["vision_config", "text_config"])
def test_a_folder_whose_towers_have_another_activation_is_refused(clip, tmp_path, tower):
    save_file(hugging_face_names(clip.state_dict()), tmp_path / "model.safetensors")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({tower: {"hidden_act": "quick_gelu"}, "model_type": "clip"}))
    assert read_clip(tmp_path)["state_dict"]
    config.write_text(json.dumps({tower: {"hidden_act": "gelu"}}))
    with pytest.raises(ValueError, match=r"config\.json' says .* 'gelu', .* 'quick_gelu'"):
        read_clip(tmp_path)


def test_the_command_writes_classes_and_their_names(clip, vocabulary, wanted, tmp_path, capsys):
    source, out = tmp_path / "clip.pth", tmp_path / "ours.pth"
    torch.save({k: v.half() for k, v in clip.state_dict().items()}, source)
    (tmp_path / "names.txt").write_text("photo\n\nof\n")
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS))
    words = ["import", str(source), "--classes", str(tmp_path / "names.txt"), "-o", str(out)]
    words += ["--prompts", str(tmp_path / "prompts.txt"), "--vocabulary", vocabulary]
    assert main(words) == 0
    assert "clip for 2 classes" in capsys.readouterr().out
    written = torch.load(out, weights_only=True)
    assert written["meta"]["dataset_meta"]["classes"] == ["photo", "of"]
    assert {value.dtype for value in written["state_dict"].values()} == {torch.float32}
    model = classifier()
    model.load_state_dict(written["state_dict"], strict=True)
    with torch.no_grad():
        found = model(IMAGES)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.05)  # weights were rounded to half
    assert main(["import", str(source), "-o", str(out)]) == 2
    assert "for a CLIP checkpoint, the classes with --classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"visual.conv1.bias": torch.zeros(64)},
            "1 keys that a vision .* not have: visual.conv1.bias",
        ),
        ({"ln_final.weight": None}, "(?s)no text tower of CLIP.*norm.weight"),
        ({"token_embedding.weight": None}, "no text tower of CLIP: 'tokens.weight'"),
        ({"visual.proj": None}, "no image tower of CLIP: head.projection.weight is missing"),
    ],
)
def test_weights_that_are_not_those_of_clip_are_refused(clip, vocabulary, changes, message):
    weights = {k: v for k, v in (clip.state_dict() | changes).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        import_clip(weights, CLASSES, PROMPTS, vocabulary=vocabulary)


def test_queries_without_keys_are_refused(clip):
    weights = hugging_face_names(dict(clip.state_dict()))
    del weights["text_model.encoder.layers.1.self_attn.k_proj.bias"]
    with pytest.raises(ValueError, match=r"layers.1.self_attn.k_proj.bias is missing beside"):
        clip_names(weights)
