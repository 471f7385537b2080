"""The part of a sweep that speaks to Ray Tune: what is drawn, when a trial is stopped, what is left behind."""

import logging
import os
import time
from typing import Any

from mmengine.logging import print_log
from ray import tune
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter

from spikevision.cluster.storage import Storage
from spikevision.cluster.sweep_results import Board
from spikevision.cluster.sweep_space import Space
from spikevision.cluster.sweep_trial import TrialTask, run_trial

TUNE = "tune"  # folder of Tune's own files, pickles among them
RELEASE_S = 60.0
SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # it prints; the other one keeps silent when told to
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial checks its metrics itself, and fails alone
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the metrics of a trial are in its own folder
    "TUNE_GLOBAL_CHECKPOINT_S": "5",
}
DRAW: dict[str, Any] = {
    "uniform": tune.uniform,
    "loguniform": tune.loguniform,
    "quniform": tune.quniform,
    "randint": tune.randint,
}
_boards: dict[str, Board] = {}


class Watcher(tune.Callback):
    """Shows Tune's trials to a board of this process.

    Tune pickles its callbacks into the sweep and takes them from there when it restores one, so this holds no more
    than the place of the sweep.

    Args:
        place: URI of the sweep.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        """Look at all trials; not once more at the end, when Tune calls those terminated that an interruption ended."""
        _boards[self._place].update(trials)


def run_tuner(
    ray: Any,
    task: TrialTask,
    *,
    place: Storage,
    board: Board,
    clock: str,
    length: int,
    interval: int,
) -> None:
    """Run all trials, or those that an earlier driver of this sweep has left to do.

    Args:
        ray: The module, connected.
        task: What all trials have in common.
        place: Folder of the sweep.
        board: Is shown the trials.
        clock: ``epoch`` or ``iter``.
        length: Of a training, in steps of the clock.
        interval: Between two validations.

    Raises:
        ValueError: Trials would have workers of their own, and Ray's dashboard is off: those of a trial that is
            stopped early would keep their place for ever.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the board says why a trial failed
    if task.has_workers:
        check_state_api(ray)
    resources = tune.PlacementGroupFactory([task.bundle()])
    trainable = tune.with_resources(tune.with_parameters(run_trial, task=task), resources)
    drawn = domains(task.space)
    experiment = place.below(TUNE)
    _boards[place.uri] = board
    try:
        if tune.Tuner.can_restore(experiment):
            tuner = tune.Tuner.restore(
                experiment, trainable=trainable, param_space=drawn, resume_errored=True
            )
        else:
            tuner = tune.Tuner(
                trainable,
                param_space=drawn,
                tune_config=tune.TuneConfig(
                    search_alg=searcher(task.space, at_once=concurrent(ray, task)),
                    scheduler=scheduler(task.space, clock=clock, length=length, interval=interval),
                    num_samples=1
                    if task.space.search["type"] == "grid"
                    else task.space.search["trials"],
                    trial_dirname_creator=_trial_id,
                    reuse_actors=not task.has_workers,  # a process trains one trial after the other
                ),
                run_config=tune.RunConfig(
                    name=TUNE,
                    storage_path=place.uri,
                    verbose=0,
                    callbacks=[Watcher(place.uri)],
                    failure_config=tune.FailureConfig(max_failures=task.cluster.max_failures),
                    checkpoint_config=tune.CheckpointConfig(**task.kept),
                ),
            )
        tuner.fit()
    finally:
        del _boards[place.uri]
    wait_until_released(ray)


def domains(space: Space) -> dict[str, Any]:
    """Parameter -> what Tune draws: places in a list of values, or numbers."""
    listed = tune.grid_search if space.search["type"] == "grid" else tune.choice
    drawn: dict[str, Any] = {}
    for name, each in space.parameters.items():
        if "values" in each.settings:
            places = list(range(len(each.settings["values"])))
            drawn[name] = tune.grid_search(places) if each.kind == "grid" else listed(places)
        else:
            drawn[name] = DRAW[each.kind](*each.settings.values())
    return drawn


def searcher(space: Space, *, at_once: int) -> Any:
    """What decides on the next values, for no more than so many trials at a time.

    Raises:
        ImportError: Optuna was asked for and is not installed.
    """
    if space.search["type"] != "optuna":
        return BasicVariantGenerator(max_concurrent=at_once, random_state=space.search["seed"])
    try:
        import optuna
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        raise ImportError(
            "this search draws with Optuna: pip install 'spikevision[ray]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metrics, modes = list(space.objectives), list(space.objectives.values())
    several = len(metrics) > 1
    search = OptunaSearch(
        metric=metrics if several else metrics[0],
        mode=modes if several else modes[0],
        seed=space.search["seed"],
    )
    return ConcurrencyLimiter(search, max_concurrent=at_once)


def scheduler(space: Space, *, clock: str, length: int, interval: int) -> TrialScheduler | None:
    """What stops trials early, by the first objective."""
    if space.scheduler is None:
        return None
    metric, mode = next(iter(space.objectives.items()))
    judged: dict[str, Any] = {"time_attr": clock, "metric": metric, "mode": mode}
    grace = space.scheduler["grace"] or interval
    if space.scheduler["type"] == "asha":
        field = {"epoch": "train_cfg.max_epochs", "iter": "train_cfg.max_iters"}[clock]
        longest = max([length, *space.listed(field)])
        return ASHAScheduler(
            **judged,
            max_t=longest,
            grace_period=min(grace, longest),
            reduction_factor=space.scheduler["factor"],
        )
    return MedianStoppingRule(
        **judged, grace_period=grace, min_samples_required=space.scheduler["min_trials"]
    )


def concurrent(ray: Any, task: TrialTask) -> int:
    """Trials at a time: as many as the cluster has room for, and no more than the space allows.

    Of a range of workers each trial may take the most.
    """
    total = ray.cluster_resources()
    most = task.cluster.workers[1]
    fits = total.get("CPU", 0) / most
    if task.gpus:
        fits = min(fits, total.get("GPU", 0) / (task.gpus * most))
    return max(1, min(int(fits), task.space.search["concurrent"] or int(fits)))


def check_state_api(ray: Any) -> None:
    """Make sure that Ray can free the place of workers whose trial was stopped early.

    Raises:
        ValueError: It cannot: the dashboard is off.
    """
    from ray.util.state import list_actors

    try:
        list_actors(address=ray.get_runtime_context().gcs_address, limit=1)
    except Exception as error:  # of many kinds: no server, no answer, a minimal installation
        raise ValueError(
            f"Ray's State API does not answer ({error}), so trials with workers of their own would hang: start Ray "
            "with its dashboard, or sweep with --workers 1"
        ) from error


def wait_until_released(ray: Any) -> None:
    """Wait until nothing of this job holds a place in the cluster any more, or say after a minute that it does."""
    from ray.util.state import list_placement_groups

    here = ray.get_runtime_context()
    ours = [("creator_job_id", "=", here.get_job_id())]
    end = time.monotonic() + RELEASE_S
    while time.monotonic() < end:
        held = list_placement_groups(address=here.gcs_address, filters=ours, limit=1000)
        if all(group.state == "REMOVED" for group in held):
            return
        time.sleep(0.5)
    print_log(f"Ray still holds places for {len(held)} trials", "current", logging.WARNING)


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)
