import json

import pytest

from spikevision.jobs.report import write_report
from spikevision.statistics import Record

pytest.importorskip("plotly", reason="the report draws with Plotly")


def test_a_run_folder_becomes_a_page_beside_its_records(tmp_path):
    (tmp_path / "statistics.json").write_text(json.dumps(Record(images={"4x4": 1}).to_dict()))
    metrics = {"accuracy/top1": {"value": 71.5, "unit": "%"}}
    (tmp_path / "run.json").write_text(json.dumps({"metrics": metrics, "config": "my-config.py"}))
    path = write_report([tmp_path])
    assert path == tmp_path / "report.html"
    text = path.read_text()
    assert "71.5" in text
    assert "my-config.py" in text


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    folders = [tmp_path / name / "20260101_000000" for name in ("small", "large")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "statistics.json").write_text(json.dumps(Record().to_dict()))
    text = write_report(folders, output=tmp_path / "both.html").read_text()
    assert "small/20260101_000000" in text
    assert "large/20260101_000000" in text


def test_a_folder_without_statistics_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="SpikeStatisticsHook"):
        write_report([tmp_path])


def test_the_same_run_twice_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="given twice"):
        write_report([tmp_path, tmp_path])
