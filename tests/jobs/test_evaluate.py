import json
import pickle
from pathlib import Path

import pytest
import torch

from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.train import train


@pytest.fixture
def checkpoint(spec) -> Path:
    return train(spec("trained")).checkpoint


def test_metrics_equal_those_of_the_last_validation_and_are_recorded(spec, checkpoint):
    result = evaluate(spec("tested", checkpoint=str(checkpoint)))
    trained = json.loads((checkpoint.parent / "run.json").read_text())
    tested = json.loads((result.run_dir / "run.json").read_text())
    assert tested["metrics"]["accuracy/top1"] == trained["metrics"]["accuracy/top1"]
    assert tested["job"] == "evaluate"
    assert tested["status"] == "finished"


def test_evaluating_writes_no_checkpoint_and_is_not_resumed_from(spec, checkpoint):
    result = evaluate(spec("tested", checkpoint=str(checkpoint)))
    assert not list(result.run_dir.rglob("*.pth"))
    with pytest.raises(FileNotFoundError, match="no run in"):
        train(spec("tested", resume=True))


def test_a_checkpoint_of_another_architecture_is_refused_with_a_short_list(spec, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {f"layer.{n}.weight": torch.zeros(1) for n in range(9)}}, path)
    with pytest.raises(ValueError, match="another model") as caught:
        evaluate(spec(checkpoint=str(path)))
    assert "9 unexpected: layer.0.weight" in str(caught.value)
    assert "and 4 more" in str(caught.value)
    assert "missing: backbone." in str(caught.value)


def test_a_missing_checkpoint_is_named(spec):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        evaluate(spec(checkpoint="nowhere.pth"))


class Foreign:
    """A pickle that would write a file when it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_foreign_pickle_is_refused_and_nothing_of_it_runs(spec, tmp_path):
    path = tmp_path / "foreign.pth"
    torch.save({"state_dict": {}, "meta": Foreign(tmp_path / "executed")}, path)
    with pytest.raises((ValueError, pickle.UnpicklingError), match=r"foreign\.pth"):
        evaluate(spec(checkpoint=str(path)))
    assert not (tmp_path / "executed").exists()
    assert not Path(spec().work_dir).exists()


@pytest.mark.parametrize("hooks", [[], [{"type": "spikevision.SpikeStatisticsHook", "samples": 0}]])
def test_spikes_are_counted_on_request_and_once(spiking_spec, spiking_checkpoint, hooks):
    """A hook of the config keeps its settings: this one keeps no sample images."""
    options = {"custom_hooks": hooks}
    spec = spiking_spec(checkpoint=spiking_checkpoint, cfg_options=options, spike_stats=True)
    result = evaluate(spec)
    run_dir = result.run_dir
    values = json.loads((run_dir / "statistics.json").read_text())
    assert values["images"] == {"32x32": 8}
    assert values["metrics"] == result.metrics
    assert (run_dir / "config.py").read_text().count("SpikeStatisticsHook") == 1
    assert (run_dir / "spike_samples.json").exists() == (not hooks)


def test_spikes_are_not_counted_unasked(spiking_spec, spiking_checkpoint):
    run_dir = evaluate(spiking_spec(checkpoint=spiking_checkpoint)).run_dir
    assert not (run_dir / "statistics.json").exists()
