"""``spikevision sweep CONFIG SPACE``."""

import argparse
import shlex

from spikevision.cli.options import (
    add_cluster_arguments,
    add_config_arguments,
    cluster_spec,
    parse_options,
    say,
)

HELP = "train a config with many values, stop the weak ones early, and compare accuracy with energy"
EXAMPLE = """
SPACE is a text config:

  space = {
      'time_steps': dict(type='choice', values=[1, 2, 4]),
      'model.*neuron.v_threshold': dict(type='uniform', low=0.5, high=1.0),        # all neurons together
      'optim_wrapper.optimizer.lr': dict(type='loguniform', low=1e-4, high=1e-2),
  }
  search = dict(type='optuna', trials=24)            # random (default), grid, optuna
  scheduler = dict(type='asha', grace=2)             # asha (default), median, None
  objectives = {'accuracy/top1': 'max', 'energy_pj': 'min'}   # default: the task's metric, and energy

Ready ones are in configs/sweeps; docs/sweeps.md explains all fields.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    add_config_arguments(parser)
    parser.add_argument("space", metavar="SPACE", help="what moves, e.g. configs/sweeps/....py")
    parser.add_argument(
        "--restore",
        action="store_true",
        help="go on with the sweep of this --name after its driver died; Ray unpickles files of the storage for that: "
        "only for a storage that nobody else can write to",
    )
    add_cluster_arguments(parser, training=True)


def run(args: argparse.Namespace) -> int:
    """Sweep, with a table of the trials while they run."""
    from spikevision.cli.sweep_table import LiveTable
    from spikevision.cluster.spec import ClusterSpec
    from spikevision.cluster.sweep import sweep
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        work_dir=args.work_dir,
        cfg_options=parse_options(args.cfg_options),
    )
    args.launcher = "none"
    table = LiveTable()
    result = sweep(
        spec,
        args.space,
        cluster_spec(args) or ClusterSpec(),
        restore=args.restore,
        show=table.show,
    )
    table.finish(result.rows)
    best = result.best
    if best is not None:
        options = [f"{name}={value}" for name, value in best.values.items()]
        say(f"best: trial {best.trial}: {shlex.join(options)}")
        say(f"its checkpoint: {best.checkpoint}")
    say(f"{result.status}; sweep folder: {result.location} (sweep.html, sweep.csv, sweep.json)")
    if result.status == "interrupted":
        return 130
    return 0 if best is not None else 1
