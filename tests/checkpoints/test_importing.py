"""Official files from disk to a model, and every way in which one may not fit."""

import pytest
import torch

from spikevision.checkpoints import FAMILIES, convert_official
from spikevision.checkpoints.importing import import_official
from spikevision.cli.main import main
from spikevision.heads.classification import build_classifier

ARCH = "2-256"
BACKBONE = dict(type="Spikformer", variant="event", arch=ARCH)


def official_names(family: str = "spikformer-event", blocks: int = 2) -> list[str]:
    """Every live official key of the model, found by asking the key map for each of ours."""
    key_map = FAMILIES[family]
    names = []
    for pattern, (_, table) in key_map.scopes.items():
        for theirs in table:
            for prefix in [
                pattern.replace(r"\.", ".").replace(r"(\d+)", str(i)) for i in range(blocks)
            ]:
                for tensor in (
                    "weight",
                    "bias",
                    "running_mean",
                    "running_var",
                    "num_batches_tracked",
                ):
                    names.append(".".join(part for part in (prefix, theirs, tensor) if part))
    return list(dict.fromkeys(names))


@pytest.fixture(scope="module")
def official() -> dict[str, torch.Tensor]:
    """Random weights under the published names, dead ones included."""
    torch.manual_seed(0)
    ours = build_classifier(BACKBONE, 10).state_dict()
    key_map = FAMILIES["spikformer-event"]
    weights = {
        name: ours[key_map.rename(name)]
        for name in official_names()
        if key_map.rename(name) in ours
    }
    assert len(weights) == len(ours)
    return weights | {
        "pos_embed": torch.zeros(1, 64, 256),
        "block.0.norm1.weight": torch.zeros(256),
    }


@pytest.fixture
def save(tmp_path, official):
    def save(**changes):
        weights = {key: value for key, value in (official | changes).items() if value is not None}
        file = tmp_path / "official.pth"
        torch.save(dict(model=weights, epoch=95), file)
        return file

    return save


def test_command_writes_a_checkpoint_that_loads_strictly(save, official, tmp_path, capsys):
    out = tmp_path / "ours.pth"
    assert main(["import", str(save()), "--arch", ARCH, "-o", str(out)]) == 0
    assert "2,566,666 parameters" in capsys.readouterr().out
    written = torch.load(out, weights_only=True)["state_dict"]
    build_classifier(BACKBONE, 10).load_state_dict(written, strict=True)
    expected = convert_official(official, "spikformer-event")
    assert all(torch.equal(written[key], value) for key, value in expected.items())


@pytest.mark.parametrize(
    ("arch", "changes", "message"),
    [
        ("8-512", {}, "do not fit spikformer-event 8-512"),
        ("55m", {}, "unknown arch '55m' of spikformer-event"),
        (
            ARCH,
            {"block.1.mlp.fc1_bn.bias": None},
            "missing backbone.stages.3.block1.mlp.body.fc1.bn.bias",
        ),
        (ARCH, {"extra.weight": torch.zeros(1)}, "does not have: extra.weight"),
        (ARCH, {"head.weight": None}, "no classifier"),
        (
            ARCH,
            {"patch_embed.proj_conv.bias": torch.zeros(1)},
            "unexpected backbone.stem.conv.bias",
        ),
        (ARCH, {"head.bias": torch.zeros(3)}, r"head.fc.bias is \(3,\), should be \(10,\)"),
    ],
)
def test_a_checkpoint_that_does_not_fit_says_which_keys(save, arch, changes, message):
    with pytest.raises(ValueError, match=message):
        import_official(save(**changes), arch)


def test_a_truncated_file_is_an_error_and_leaves_no_output(save, tmp_path, capsys):
    file, out = save(), tmp_path / "ours.pth"
    file.write_bytes(file.read_bytes()[:1000])
    assert main(["import", str(file), "--arch", ARCH, "-o", str(out)]) == 2
    assert str(file) in capsys.readouterr().err
    assert not out.exists()


def test_an_e_spikeformer_comes_home_key_by_key(tmp_path):
    torch.manual_seed(0)
    ours = build_classifier(dict(type="ESpikeFormer", arch="5m"), 1000).state_dict()
    key_map = FAMILIES["e-spikeformer"]
    official = {}
    for name in official_names("e-spikeformer", blocks=6):
        tensor = ours.get(key_map.rename(name))
        if tensor is not None:
            is_mlp = ".mlp.fc" in name and tensor.dim() == 4
            official[name] = tensor.squeeze(-1) if is_mlp else tensor  # Conv1d there
    assert len(official) == len(ours)
    file = tmp_path / "V3_5.1M_1x4.pth"
    torch.save(dict(model=official), file)
    found = import_official(file, "5m")
    assert found["meta"]["family"] == "e-spikeformer"
    assert found["state_dict"].keys() == ours.keys()
    assert all(torch.equal(found["state_dict"][key], value) for key, value in ours.items())
    with pytest.raises(ValueError, match="do not fit e-spikeformer 10m"):
        import_official(file, "10m")
