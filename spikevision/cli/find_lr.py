"""``spikevision find-lr CONFIG``."""

import argparse

from spikevision.cli.options import add_config_arguments, parse_options, say

HELP = "sweep the learning rate over some batches, draw the loss and suggest a rate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.add_argument(
        "--iterations",
        type=int,
        default=100,
        metavar="N",
        help="rates to try, one batch each (default: 100)",
    )
    parser.add_argument(
        "--lowest", type=float, default=1e-6, metavar="RATE", help="first rate (default: 1e-6)"
    )
    parser.add_argument(
        "--highest", type=float, default=1.0, metavar="RATE", help="last rate (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Sweep, and say which rate to try."""
    from spikevision.jobs.find_lr import find_learning_rate
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        work_dir=args.work_dir,
        cfg_options=parse_options(args.cfg_options),
    )
    curve, run_dir = find_learning_rate(
        spec, iterations=args.iterations, lowest=args.lowest, highest=args.highest
    )
    say(f"curve: {run_dir / 'learning_rates.png'}")
    say(f"the loss falls fastest at {curve.suggestion:.2g}; try it as the peak of a schedule:")
    say(f"  --cfg-options optim_wrapper.optimizer.lr={curve.suggestion:.2g}")
    return 0
