from pathlib import Path

import pytest

from spikevision.jobs.run_dir import base_dir, find_resume_point, last_checkpoint, new_run_dir


def make_run(base: Path, name: str, *checkpoints: str, last: str | None = None) -> Path:
    run_dir = base / name
    run_dir.mkdir(parents=True)
    (run_dir / "run.json").write_text("{}")
    for checkpoint in checkpoints:
        (run_dir / checkpoint).write_text(checkpoint)
    if last is not None:
        (run_dir / "last_checkpoint").write_text(last)
    return run_dir


def test_the_folder_is_named_by_config_unless_one_is_given():
    assert base_dir("configs/a/b.py", work_dir=None) == Path("work_dirs/b")
    assert base_dir("configs/a/b.py", work_dir="x") == Path("x")


def test_runs_that_start_in_one_second_get_their_own_folders(tmp_path):
    assert len({new_run_dir(tmp_path) for _ in range(4)}) == 4


def test_the_latest_run_with_a_checkpoint_is_resumed(tmp_path):
    make_run(tmp_path, "20260101_000000", "epoch_9.pth", last="/gone/epoch_9.pth")
    latest = make_run(tmp_path, "20260102_000000_10", "epoch_1.pth", last="/gone/epoch_1.pth")
    make_run(tmp_path, "20260102_000000_9", "epoch_2.pth", last="/gone/epoch_2.pth")
    make_run(tmp_path, "20260103_000000")
    point = find_resume_point(True, base=tmp_path)
    assert (point.run_dir, point.checkpoint) == (latest, latest / "epoch_1.pth")


def test_an_empty_note_falls_back_to_the_newest_checkpoint_with_training_state(tmp_path):
    run_dir = make_run(tmp_path, "20260101_000000", "epoch_1.pth", "best_epoch_1.pth", last="")
    assert last_checkpoint(run_dir) == run_dir / "epoch_1.pth"


def test_a_path_outside_of_a_run_folder_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "x.pth").write_text("")
    with pytest.raises(ValueError, match="load_from"):
        find_resume_point(str(tmp_path / "x.pth"), base=tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_resume_point(str(tmp_path / "y.pth"), base=tmp_path)
