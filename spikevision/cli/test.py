"""``spikevision test CONFIG CHECKPOINT``."""

import argparse
import json

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

HELP = "metrics of a checkpoint on the config's test data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.add_argument(
        "checkpoint",
        help="checkpoint of this config's model, or what `deploy` or `convert` made of it",
    )
    add_spike_stats(parser)
    add_launcher(parser)
    add_cluster_arguments(parser, training=False)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print a table of the metrics."""
    from spikevision.jobs.evaluate import evaluate
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        work_dir=args.work_dir,
        cfg_options=parse_options(args.cfg_options),
        spike_stats=args.spike_stats,
        launcher=args.launcher,
    )
    cluster = cluster_spec(args)
    if cluster is None:
        result = evaluate(spec)
    else:
        from spikevision.cluster import shard

        result = shard.evaluate(spec, cluster)
    record = json.loads((result.run_dir / "run.json").read_text())
    say(metric_table(record["metrics"]))
    say(f"run folder: {result.run_dir}")
    say(statistics_hint(result.run_dir))
    return 0
