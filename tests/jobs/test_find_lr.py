import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spikevision.cli.main import main
from spikevision.jobs import find_lr
from spikevision.jobs.find_lr import RateCurve, find_learning_rate


def curve(losses) -> RateCurve:
    rates = np.geomspace(1e-4, 1.0, len(losses))
    return RateCurve(rates=tuple(rates), losses=tuple(losses))


def test_a_constant_loss_stays_itself_when_smoothed():
    assert curve([3.0] * 20).smoothed == pytest.approx([3.0] * 20)


def test_the_suggestion_is_where_the_loss_falls_fastest(monkeypatch):
    monkeypatch.setattr(find_lr, "SMOOTHING", 0.0)  # so that the steepest place is known
    steps = np.linspace(-4, 0, 41)  # of log10 of the rate
    falling = curve(2 - np.tanh(3 * (steps + 2)))
    assert falling.suggestion == pytest.approx(1e-2)
    diverging = curve(2 - np.tanh(3 * (steps + 2)) + 100 * np.maximum(steps + 1, 0))
    assert diverging.suggestion == pytest.approx(1e-2)


@pytest.mark.parametrize("losses", [np.linspace(1, 2, 20), np.linspace(2, 1, 5)])
def test_where_the_loss_does_not_fall_nothing_is_suggested(losses):
    with pytest.raises(ValueError, match="the loss falls at none of"):
        _ = curve(losses).suggestion


def test_a_sweep_grows_the_rate_of_each_group_and_leaves_no_checkpoint(spec, monkeypatch):
    seen = []
    stock = find_lr.RateSweep.before_train_iter

    def watch(self, runner, batch_idx, data_batch=None):
        stock(self, runner, batch_idx, data_batch)
        seen.append({group["lr"] for group in runner.optim_wrapper.param_groups})

    monkeypatch.setattr(find_lr.RateSweep, "before_train_iter", watch)
    options = {"optim_wrapper.paramwise_cfg": {"bias_lr_mult": 0.5}}
    result, run_dir = find_learning_rate(spec(cfg_options=options), iterations=12, highest=1e-2)
    assert result.rates == pytest.approx(np.geomspace(1e-6, 1e-2, 12))
    assert [max(rates) for rates in seen] == pytest.approx(result.rates)
    assert [min(rates) for rates in seen] == pytest.approx([rate / 2 for rate in result.rates])
    assert all(math.isfinite(loss) for loss in result.losses)
    assert not list(run_dir.rglob("*.pth"))
    written = json.loads((run_dir / "learning_rates.json").read_text())
    assert written["losses"] == list(result.losses)
    assert (run_dir / "learning_rates.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("last", [30.0, math.inf])
def test_a_sweep_ends_where_the_loss_diverges_or_is_infinite(last):
    sweep = find_lr.RateSweep(np.geomspace(1e-3, 1, 30).tolist())
    runner = SimpleNamespace(train_loop=SimpleNamespace(stop_training=False))
    for index, loss in enumerate([2.0] * 12 + [last]):
        assert not runner.train_loop.stop_training
        sweep.after_train_iter(runner, index, outputs={"loss": torch.tensor(loss)})
    assert runner.train_loop.stop_training
    assert len(sweep.losses) == (13 if math.isfinite(last) else 12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--iterations", "3"], "at least 10 iterations"),
        (["--lowest", "1", "--highest", "0.1"], "0 < lowest < highest"),
        (["--highest", "inf"], "0 < lowest < highest"),
    ],
)
def test_an_impossible_sweep_is_wrong_input(config, settings, message, capsys):
    assert main(["find-lr", str(config), *settings]) == 2
    assert message in capsys.readouterr().err


def test_the_command_names_picture_and_field(config, tmp_path, capsys):
    words = ["find-lr", str(config), "--work-dir", str(tmp_path / "out"), "--iterations", "12"]
    assert main([*words, "--lowest", "1e-3"]) == 0
    shown = capsys.readouterr().out
    assert "learning_rates.png" in shown
    assert "--cfg-options optim_wrapper.optimizer.lr=" in shown
