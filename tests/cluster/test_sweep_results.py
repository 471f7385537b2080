import csv
import json
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from spikevision.cluster.storage import Storage
from spikevision.cluster.sweep_results import LOST, Board, Row, SweepResult
from spikevision.cluster.sweep_space import read_space
from spikevision.tasks import TASKS

BOTH = {"accuracy/top1": "max", "energy_pj": "min"}


def row(trial: str, accuracy: float | None = None, energy: float = 1.0, **kwargs) -> Row:
    metrics = {} if accuracy is None else {"accuracy/top1": accuracy, "energy_pj": energy}
    return Row(
        **{
            "trial": trial,
            "values": {"lr": 0.1},
            "status": "finished",
            "metrics": metrics,
            **kwargs,
        }
    )


def result(*rows: Row, objectives: dict = BOTH) -> SweepResult:
    return SweepResult(location="here", status="finished", objectives=objectives, rows=rows)


def test_the_front_holds_what_no_trial_beats():
    found = result(
        row("cheap", 50, 1),
        row("good", 90, 5),
        row("beaten", 80, 5),
        row("middle", 70, 2),
        row("twin", 70, 2),
        row("worst", 40, 9),
        row("none"),
        row("broken", 99, 0.1, status="failed"),
    )
    assert [each.trial for each in found.front] == ["cheap", "good", "middle", "twin"]
    assert found.best.trial == "good"


def test_best_follows_the_first_objective_and_its_direction():
    rows = (row("a", 50, 1), row("b", 90, 5))
    assert result(*rows, objectives={"energy_pj": "min"}).best.trial == "a"
    assert result(*rows, objectives={"energy_pj": "max"}).best.trial == "b"
    assert result(row("none")).best is None


def test_csv_has_a_line_per_trial():
    lines = list(
        csv.DictReader(result(row("a", 50), row("b", error="no, sir")).to_csv().splitlines())
    )
    assert [(line["trial"], line["lr"], line["accuracy/top1"]) for line in lines] == [
        ("a", "0.1", "50"),
        ("b", "0.1", ""),
    ]
    assert lines[1]["error"] == "no, sir"


@pytest.fixture
def board(tmp_path):
    """A board over a tiny space, and what it has shown."""
    (tmp_path / "space.py").write_text(
        "space = {'lr': dict(type='choice', values=[0.1, 0.2]), 'train_cfg.max_epochs': dict(type='choice', values=[3, 6])}"
    )
    config = Config({"lr": 1, "train_cfg": {"max_epochs": 3}})
    task = TASKS["classification"]
    space = read_space(tmp_path / "space.py", config=config, task=task)
    shown: list[list[Row]] = []
    made = Board(
        Storage(str(tmp_path)), name="one", space=space, metrics=task.metrics, clock="epoch", length=3, show=shown.append
    )  # fmt: skip
    return SimpleNamespace(board=made, shown=shown, folder=tmp_path / "one")


def trial(name: str, status: str, *, epochs: int = 3, checkpoint=None, **last):
    """As Tune has it: places in the lists of values."""
    drawn = {"lr": 1, "train_cfg.max_epochs": {3: 0, 6: 1}[epochs]}
    return SimpleNamespace(
        trial_id=name, status=status, config=drawn, last_result=last, checkpoint=checkpoint
    )


def test_trials_become_rows_that_say_where_they_stand(board):
    board.board.update(
        [
            trial("a", "TERMINATED", epoch=3, energy_pj=2.0, pid=7, **{"accuracy/top1": 50.0}),
            trial("b", "TERMINATED", epochs=6, epoch=3, **{"accuracy/top1": float("nan")}),
            trial("c", "RUNNING", checkpoint_path="s3://c"),
            trial("d", "PENDING", checkpoint=SimpleNamespace(path="d.pth")),
        ]
    )
    (rows,) = board.shown
    assert [(each.status, each.step, each.length) for each in rows] == [
        ("finished", 3, 3), ("stopped", 3, 6), ("running", 0, 3), ("waiting", 0, 3)
    ]  # fmt: skip
    assert rows[0].metrics == {"accuracy/top1": 50.0, "energy_pj": 2.0}
    assert rows[0].values == {"lr": 0.2, "train_cfg.max_epochs": 3}
    assert rows[1].metrics == {}
    assert [each.checkpoint for each in rows] == [None, None, "s3://c", "d.pth"]
    saved = json.loads((board.folder / "sweep.json").read_text())
    assert (saved["status"], saved["best"], len(saved["trials"])) == ("running", "a", 4)


def test_a_failed_trial_says_why(board):
    (board.folder / "trials" / "a").mkdir(parents=True)
    (board.folder / "trials" / "a" / "failed.json").write_text(
        '{"attempt": "1", "error": "ValueError: no"}'
    )
    board.board.update([trial("a", "ERROR"), trial("b", "ERROR")])
    assert [each.error for each in board.shown[0]] == ["ValueError: no", LOST]
    assert board.board.close().status == "finished"


def test_nothing_is_shown_twice_and_what_is_left_makes_it_interrupted(board):
    trials = [trial("a", "TERMINATED", epoch=3), trial("b", "RUNNING", epoch=1)]
    board.board.update(trials)
    board.board.update(trials)
    assert len(board.shown) == 1
    assert board.board.close().status == "interrupted"
