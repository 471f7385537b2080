"""Going on with a run that was cut off."""

import json

import pytest

from spikevision.jobs.pick_up import pick_up


@pytest.fixture
def one_epoch(spec):
    return spec(cfg_options={"train_cfg.max_epochs": 1})


def set_status(result, status):
    path = result.run_dir / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": status}))


def test_a_run_that_was_cut_off_goes_on_in_its_folder(one_epoch):
    first = pick_up(one_epoch)
    set_status(first, "running")  # as a killed process leaves it
    second = pick_up(one_epoch)
    assert second.run_dir == first.run_dir
    assert json.loads((first.run_dir / "run.json").read_text())["resumed"] == 1


def test_a_finished_run_is_done_again_or_taken_as_it_is(one_epoch):
    first = pick_up(one_epoch)
    taken = pick_up(one_epoch, reuse_finished=True)
    assert (taken.run_dir, taken.checkpoint) == (first.run_dir, first.checkpoint)
    assert taken.metrics == first.metrics
    assert pick_up(one_epoch).run_dir != first.run_dir


def test_a_run_of_other_options_is_not_mistaken_for_this_one(one_epoch):
    first = pick_up(one_epoch)
    one_epoch.cfg_options["train_cfg.max_epochs"] = 2
    with pytest.raises(ValueError, match="was started with cfg_options .*max_epochs.: 1"):
        pick_up(one_epoch, reuse_finished=True)
    assert first.run_dir.is_dir()


def test_a_run_without_a_checkpoint_is_left_alone(one_epoch):
    first = pick_up(one_epoch)
    set_status(first, "failed")
    for checkpoint in first.run_dir.glob("*.pth"):
        checkpoint.unlink()
    assert pick_up(one_epoch).run_dir != first.run_dir
