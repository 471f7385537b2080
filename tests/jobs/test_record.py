import json

import pytest

from spikevision.jobs.record import RunRecord
from spikevision.jobs.spec import RunSpec

SPEC = RunSpec(config="a.py", cfg_options={"x": 1})


def read(folder) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_the_record_is_on_disk_from_beginning_to_end(tmp_path):
    with RunRecord(tmp_path, job="train", spec=SPEC) as record:
        assert read(tmp_path)["status"] == "running"
        record.update(seed=4)
        assert read(tmp_path)["seed"] == 4
    assert read(tmp_path)["status"] == "finished"
    assert read(tmp_path)["spec"]["cfg_options"] == {"x": 1}


def test_an_error_is_recorded_and_goes_on(tmp_path):
    with pytest.raises(RuntimeError, match="boom"), RunRecord(tmp_path, job="train", spec=SPEC):
        raise RuntimeError("boom")
    assert read(tmp_path)["status"] == "failed"
    assert read(tmp_path)["error"] == "RuntimeError: boom"


def test_a_resumed_run_keeps_its_start_and_adds_up_its_time(tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps({"started": "then", "duration_s": 100.0, "resumed": 0})
    )
    with RunRecord(tmp_path, job="train", spec=SPEC):
        pass
    assert read(tmp_path)["started"] == "then"
    assert read(tmp_path)["resumed"] == 1
    assert read(tmp_path)["duration_s"] >= 100.0


def test_only_the_first_process_writes(tmp_path):
    with RunRecord(tmp_path, job="train", spec=SPEC, active=False):
        assert not list(tmp_path.iterdir())
