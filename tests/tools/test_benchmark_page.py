import json

import page
import pytest
from results import publish, read
from sections import Section

SECTION = Section(
    name="step",
    title="A step",
    about="What was done.",
    command="python step.py",
    settings=("network", "batch"),
    measures={"median_ms": "time (ms)"},
)


def line(network, batch, ours, theirs):
    times = {"ours": ours, "spikingjelly": theirs}
    return {"name": "step", "network": network, "batch": batch, "median_ms": times}


@pytest.fixture
def results(tmp_path, capsys):
    for each in (line("a", 8, 10, 30), line("a", 1, 2, 5), line("a", 8, 10, 25)):
        publish(each, tmp_path / "results")
    assert [json.loads(text)["batch"] for text in capsys.readouterr().out.splitlines()] == [8, 1, 8]
    return tmp_path / "results"


def test_the_latest_result_of_each_setting_is_read_in_order_of_settings(results):
    lines = read("step", ("network", "batch"), results)
    assert [(each["batch"], each["median_ms"]["spikingjelly"]) for each in lines] == [
        (1, 5),
        (8, 25),
    ]
    assert {"processor", "torch", "spikingjelly", "date"} <= set(lines[0])
    assert read("another", (), results) == []


def test_a_setting_may_be_a_shape_and_numbers_are_in_their_order(tmp_path):
    for batch in (16, 8):
        publish({**line("a", batch, 1, 2), "shape": [4, batch]}, tmp_path)
    found = read("step", ("batch", "shape"), tmp_path)
    assert [each["shape"] for each in found] == [[4, 8], [4, 16]]


def test_the_page_shows_values_and_multiples_of_ours(results, tmp_path, monkeypatch):
    missing = Section("none", "Another", "Not run.", "python none.py", (), {})
    monkeypatch.setattr(page, "SECTIONS", [SECTION, missing])
    monkeypatch.setattr("sys.argv", ["page.py", "--results", str(results), "--docs", str(tmp_path)])
    page.main()
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| a | 8 | 10 | 25 (2.50x) |" in text
    assert "Not measured yet." in text
    picture = (tmp_path / "benchmarks_step_median_ms.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert "(benchmarks_step_median_ms.png)" in text
