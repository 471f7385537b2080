import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel, BaseTTAModel
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from tiny_training import CONFIG, SPIKING, write_pictures
from torch import nn

from spikevision.jobs.spec import RunSpec
from spikevision.jobs.train import train
from spikevision.statistics import Record, SpikeStatisticsHook, read_record
from spikevision.statistics.hook import _in_short, counted_model

SCHEMA = Path(__file__).parents[2] / "docs" / "statistics-schema.json"
HOOK = {"type": "spikevision.SpikeStatisticsHook"}
ENDING = """
model = {model}
val_dataloader['batch_size'] = test_dataloader['batch_size'] = 1
work_dir = r'{work_dir}'
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """7 test pictures, one per batch, and a spiking network."""
    pictures = write_pictures(tmp_path / "pictures")
    (pictures / "test" / "left" / "0.png").unlink()
    text = CONFIG.format(root=pictures, imports=[], hooks=[HOOK])
    model = {key: value for key, value in SPIKING.items() if key != "_delete_"}
    path = tmp_path / "tiny.py"
    path.write_text(text + ENDING.format(model=model, work_dir=tmp_path / "runs"))
    return path


@pytest.fixture
def checkpoint(config: Path, tmp_path: Path) -> Path:
    """Weights under which the network fires."""
    init_default_scope("mmpretrain")
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.constant_(module.weight, 2.0)
    with torch.no_grad():
        model(torch.randn(8, 1, 32, 32))
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def statistics_of(run: Path) -> dict:
    (path,) = run.rglob("statistics.json")
    return json.loads(path.read_text())


def evaluated(config: Path, checkpoint: Path, work_dir: Path, *, processes: int) -> dict:
    starter = [sys.executable]
    if processes > 1:
        starter += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*starter, "-m", "spikevision.cli.main", "test", str(config), str(checkpoint)]
    command += ["--work-dir", str(work_dir)]
    if processes > 1:
        command += ["--launcher", "pytorch"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SPIKEVISION_NEURON_BACKEND": "chunked"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return statistics_of(work_dir)


@pytest.mark.slow
def test_two_processes_write_the_numbers_of_one(config, checkpoint, tmp_path):
    """7 images on 2 processes: mmengine's sampler would show one of them twice."""
    one = evaluated(config, checkpoint, tmp_path / "one", processes=1)
    two = evaluated(config, checkpoint, tmp_path / "two", processes=2)
    assert one["images"] == {"32x32": 7}
    assert sum(sum(entry["by_size"]["32x32"]["spikes"]) for entry in one["neurons"].values()) > 0
    assert two == one


def test_training_writes_statistics_at_validation_and_sends_scalars(config, tmp_path):
    spec = RunSpec(
        config=str(config),
        work_dir=str(tmp_path / "runs"),
        cfg_options={
            "train_cfg.max_epochs": 1,
            "custom_hooks": [{**HOOK, "train_interval": 2}],
            "train_dataloader.batch_size": 5,
        },
    )
    run_dir = train(spec).run_dir
    values = statistics_of(run_dir)
    assert values["images"] == {"32x32": 7}
    assert "accuracy/top1" in values["metrics"]
    assert [energy["model"] for energy in values["summary"]["energy"]][0] == "classic 45 nm"
    record = read_record(run_dir / "statistics.json")
    assert record.num_images == 7
    (scalars_file,) = run_dir.rglob("scalars.json")
    lines = [json.loads(line) for line in scalars_file.read_text().splitlines()]
    assert [line["step"] for line in lines if "spikes/firing_rate" in line] == [4]
    assert [line["step"] for line in lines if "train/spikes/firing_rate" in line] == [2, 4]
    jsonschema.validate(values, json.loads(SCHEMA.read_text()))


def test_firing_rates_alone_have_no_layers_and_no_energy(config, checkpoint, tmp_path):
    loaded = Config.fromfile(config)
    loaded.custom_hooks = [{**HOOK, "operations": False}]
    loaded.work_dir = str(tmp_path / "rates")
    loaded.load_from = str(checkpoint)
    Runner.from_cfg(loaded).test()
    values = statistics_of(tmp_path / "rates")
    assert values["layers"] == {}
    assert "energy" not in values["summary"]
    assert values["summary"]["firing_rate"] > 0


def test_the_schema_refuses_a_count_that_is_not_whole_and_a_field_that_is_not_described():
    schema = json.loads(SCHEMA.read_text())
    record = Record(images={"4x4": 1}).to_dict()
    summary = {"images": 1, "firing_rate": 0, "neurons": {}, "warnings": []}
    values = {**record, "spikevision": "0", "metrics": {}, "summary": summary}
    jsonschema.validate(values, schema)
    for wrong in (
        {"images": {"4x4": 0.5}},
        {"elementwise": {"4x4": {"residual": [0.5]}}},
        {"more": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**values, **wrong}, schema)


def test_wrappers_are_looked_through_to_the_model_that_is_called():
    class Flipped(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return data_samples_list[0]

    class Plain(BaseModel):
        def forward(self, inputs, data_samples=None, mode="tensor"):
            return inputs

    model = Plain()
    assert counted_model(model) is model
    assert counted_model(Flipped(model)) is model


def test_a_long_list_of_warnings_is_cut_in_the_log():
    assert _in_short(["a", "b"]) == "spikes: a; b"
    assert (
        _in_short(["a", "b", "c", "d", "e"])
        == "spikes: a; b; c; and 2 more, all in statistics.json"
    )


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="train_interval"):
        SpikeStatisticsHook(train_interval=-1)
