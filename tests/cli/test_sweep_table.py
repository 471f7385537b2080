import io

from spikevision.cli.sweep_table import LiveTable, lines_of
from spikevision.cluster.sweep_results import Row


def rows(step: int = 1, **kwargs) -> list[Row]:
    first = Row(
        trial="a",
        status="running",
        step=step,
        length=3,
        values={"optim.lr": 0.01},
        metrics={"mIoU": 12.3456},
    )
    second = {"trial": "b", "status": "waiting", "length": 3, "values": {"optim.lr": 0.1}, **kwargs}
    return [first, Row(**second)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_table_is_aligned_and_says_why_a_trial_failed():
    assert lines_of(rows(status="failed", error="ValueError: no")) == [
        "trial  status   done  lr    mIoU",
        "a      running  1/3   0.01  12.35",
        "b      failed   0/3   0.1   -",
        "  b failed: ValueError: no",
    ]


def test_without_a_terminal_each_change_is_one_line():
    output = io.StringIO()
    table = LiveTable(output)
    table.show(rows())
    table.show(rows())
    table.show(rows(step=2))
    assert output.getvalue().splitlines() == [
        "a running 1/3 optim.lr=0.01 mIoU=12.35",
        "a running 2/3 optim.lr=0.01 mIoU=12.35",
    ]


def test_in_a_terminal_the_table_is_drawn_over_the_last_one(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "40")
    output = Terminal()
    table = LiveTable(output)
    table.show(rows())
    first = output.getvalue()
    assert [len(line) <= 19 for line in first.splitlines()] == [True] * 3
    table.show(rows(step=2))
    assert output.getvalue()[len(first) :].startswith("\x1b[3A\x1b[J")


def test_a_table_longer_than_the_terminal_shows_what_runs(monkeypatch):
    monkeypatch.setenv("LINES", "6")
    output = Terminal()
    many = [Row(trial=str(n), status="waiting", values={}) for n in range(9)]
    LiveTable(output).show([*many, *rows()[:1]])
    lines = output.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("a ")
    assert lines[-1] == "... and 8 more"


def test_no_trials_yet():
    assert lines_of([]) == ["trial  status  done"]
