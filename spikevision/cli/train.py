"""``spikevision train CONFIG``."""

import argparse
import json
import shlex
from typing import TYPE_CHECKING

from spikevision.cli.options import (
    add_cluster_arguments,
    add_config_arguments,
    add_launcher,
    add_spike_stats,
    cluster_spec,
    metric_table,
    parse_options,
    say,
    statistics_hint,
)

if TYPE_CHECKING:
    from spikevision.cluster.spec import ClusterSpec
    from spikevision.jobs.spec import RunSpec

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
    add_cluster_arguments(parser, training=True)


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
    cluster = cluster_spec(args)
    if cluster is not None:
        return _run_on_cluster(spec, cluster)
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


def _run_on_cluster(spec: "RunSpec", cluster: "ClusterSpec") -> int:
    from spikevision.cluster.launch import train

    result = train(spec, cluster)
    say(metric_table(dict(result.metrics)))
    say(f"{result.status}; run folder: {result.location}")
    say(f"last checkpoint: {result.checkpoint}")
    return 0 if result.status == "finished" else 1


def _resume_command(args: argparse.Namespace, run_dir: object) -> str:
    words = ["spikevision", "train", args.config, "--resume", str(run_dir)]
    if args.spike_stats:
        words.append("--spike-stats")
    if args.cfg_options:
        words += ["--cfg-options", *args.cfg_options]
    return shlex.join(words)
