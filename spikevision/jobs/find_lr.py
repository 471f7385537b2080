"""The learning-rate finder: train a little while the rate grows, and look where the loss falls fastest."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from spikevision.jobs.config import check_data
from spikevision.jobs.files import write_json
from spikevision.jobs.runtime import prepare, recorded
from spikevision.jobs.spec import RunSpec

__all__ = ["RateCurve", "find_learning_rate"]

SMOOTHING = 0.9  # share of the past in the running mean of the loss
DIVERGED = 2.0  # the sweep ends where the smoothed loss is this many times the best
MINIMUM = 10  # measured rates below which nothing is suggested


@dataclass(frozen=True, kw_only=True)
class RateCurve:
    """Loss over learning rate.

    Args:
        rates: Learning rates, growing by a constant factor.
        losses: Loss of the iteration at each rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> np.ndarray:
        """Running mean of the loss, without the bias towards its start."""
        mean, means = 0.0, []
        for count, loss in enumerate(self.losses, 1):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            means.append(mean / (1 - SMOOTHING**count))
        return np.array(means)

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest over the logarithm of the rate.

        Raises:
            ValueError: The loss falls nowhere, or too few rates were measured.
        """
        smoothed = self.smoothed
        if len(smoothed) >= MINIMUM:
            until = max(int(smoothed.argmin()) + 1, 2)
            slopes = np.gradient(smoothed[:until], np.log(self.rates[:until]))
            if slopes.min() < 0:
                return self.rates[int(slopes.argmin())]
        raise ValueError(
            f"the loss falls at none of {len(smoothed)} rates from {self.rates[0]:.1e} to {self.rates[-1]:.1e}: "
            f"sweep a wider range, or see in the log whether layers are silent"
        )


def find_learning_rate(
    spec: RunSpec, *, iterations: int = 100, lowest: float = 1e-6, highest: float = 1.0
) -> tuple[RateCurve, Path]:
    """Sweep the learning rate of a config and draw the loss.

    No checkpoint is written or changed: the weights of the sweep are thrown away. Layers keep their ratios to the
    optimizer's rate (``paramwise_cfg``).

    Args:
        spec: ``config``, and if wanted ``work_dir`` and ``cfg_options``.
        iterations: Number of rates; one batch each.
        lowest: First rate.
        highest: Last rate, unless the loss diverges before.

    Returns:
        The curve, and the run folder with ``learning_rates.png`` and ``learning_rates.json``.

    Raises:
        ValueError: The range is empty, or the config has several optimizers.
        FileNotFoundError: Config or data is missing.

    Source: Smith, Cyclical learning rates for training neural networks, arXiv:1506.01186, section 3.3.
    """
    if not 0 < lowest < highest or not math.isfinite(highest) or iterations < MINIMUM:
        raise ValueError(
            f"a sweep needs at least {MINIMUM} iterations and 0 < lowest < highest, got {iterations} from {lowest} to "
            f"{highest}"
        )
    job = prepare(spec)
    check_data(job.config, loaders=("train_dataloader",))
    _keep_training_only(job.config, iterations)
    sweep = RateSweep(np.geomspace(lowest, highest, iterations).tolist())
    with recorded(job, spec, name="find-lr") as record:
        runner = Runner.from_cfg(job.config)
        runner.register_hook(sweep, priority="VERY_LOW")
        runner.train()
        curve = RateCurve(rates=tuple(sweep.rates[: len(sweep.losses)]), losses=tuple(sweep.losses))
        run_dir = Path(runner.work_dir)
        _write(curve, run_dir)
        record.update(status="finished")
    return curve, run_dir


class RateSweep(Hook):
    """Set the rate before each iteration, and note the loss after it.

    Args:
        rates: One learning rate per iteration.
    """

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates
        self.losses: list[float] = []
        self._factors: list[float] = []

    def before_train(self, runner: Runner) -> None:
        """Note how the rates of the parameter groups relate to that of the optimizer."""
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapper):
            raise ValueError("the config has several optimizers: a sweep of one rate says little")
        base = wrapper.optimizer.defaults["lr"]
        self._factors = [group["lr"] / base for group in wrapper.param_groups]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the rate."""
        rate = self.rates[len(self.losses)]
        groups = runner.optim_wrapper.param_groups
        for group, factor in zip(groups, self._factors, strict=True):
            group["lr"] = rate * factor

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note the loss; end where it diverges."""
        loss = outputs["loss"].item()
        if not math.isfinite(loss):
            runner.train_loop.stop_training = True
            return
        self.losses.append(loss)
        smoothed = RateCurve(rates=(), losses=tuple(self.losses)).smoothed
        if len(self.losses) >= MINIMUM and smoothed[-1] > DIVERGED * smoothed.min():
            runner.train_loop.stop_training = True


def _keep_training_only(config: Config, iterations: int) -> None:
    """Leave out validation, schedules, checkpoints and the config's own hooks."""
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": iterations}
    config.param_scheduler = None
    config.custom_hooks = [{"type": "spikevision.FiringCheckHook", "interval": iterations}]
    config.default_hooks = {**(config.get("default_hooks") or {}), "checkpoint": None}
    for part in ("val", "test"):
        config.update({f"{part}_{name}": None for name in ("dataloader", "cfg", "evaluator")})


def _write(curve: RateCurve, run_dir: Path) -> None:
    write_json(run_dir / "learning_rates.json", {"rates": curve.rates, "losses": curve.losses})
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(curve.rates, curve.losses, color="0.8", label="loss of one batch")
    axes.semilogx(curve.rates, curve.smoothed, color="C0", label="running mean")
    try:
        rate = curve.suggestion
        axes.axvline(rate, color="C3", linestyle="--", label=f"falls fastest: {rate:.1e}")
    except ValueError:
        axes.set_title("the loss falls at none of these rates")
    smoothed = curve.smoothed
    axes.set_ylim(top=max(smoothed[0] * 1.3, smoothed.min() * DIVERGED))
    axes.set(xlabel="learning rate", ylabel="loss")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(run_dir / "learning_rates.png", dpi=120)
