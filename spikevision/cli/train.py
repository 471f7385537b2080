"""``spikevision train CONFIG``."""

import argparse
import json
import shlex

from spikevision.cli.options import (
    add_config_arguments,
    add_launcher,
    add_spike_stats,
    metric_table,
    parse_options,
    say,
    statistics_hint,
)

HELP = "train a model as its config says"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="PATH",
        help="go on with the latest run of this config, or with the given run folder or checkpoint",
    )
    add_spike_stats(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> int:
    """Train; say where the result is, or how to go on after an interruption."""
    from spikevision.jobs.spec import RunSpec
    from spikevision.jobs.train import train

    spec = RunSpec(
        config=args.config,
        work_dir=args.work_dir,
        resume=args.resume,
        cfg_options=parse_options(args.cfg_options),
        spike_stats=args.spike_stats,
        launcher=args.launcher,
    )
    result = train(spec)
    if result.status == "interrupted":
        assert result.signal is not None
        say(f"stopped; go on with: {_resume_command(args, result.run_dir)}")
        return 128 + result.signal
    record = json.loads((result.run_dir / "run.json").read_text())
    say(metric_table(record["metrics"]))
    say(f"finished; run folder: {result.run_dir}")
    say(statistics_hint(result.run_dir))
    return 0


def _resume_command(args: argparse.Namespace, run_dir: object) -> str:
    words = ["spikevision", "train", args.config, "--resume", str(run_dir)]
    if args.spike_stats:
        words.append("--spike-stats")
    if args.cfg_options:
        words += ["--cfg-options", *args.cfg_options]
    return shlex.join(words)
