"""``spikevision profile CONFIG [CHECKPOINT]``."""

import argparse

from spikevision.cli.options import add_config, parse_options, say

HELP = "the most expensive layers: time, memory, firing rate, and what to do about them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config(parser, example="model.backbone.time_steps=2")
    parser.add_argument(
        "checkpoint", nargs="?", help="checkpoint of this config's model (default: random weights)"
    )
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="layers to show (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Profile and print a table."""
    from spikevision.jobs.profile import profile_config
    from spikevision.jobs.spec import RunSpec

    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        cfg_options=parse_options(args.cfg_options),
    )
    costs = profile_config(spec)
    whole_ms = sum(cost.total_ms for cost in costs)
    say("forward  backward   share    saved  firing  layer")
    say("     ms        ms       %      MiB       %")
    for cost in costs[: args.top]:
        rate = "-" if cost.rate is None else f"{100 * cost.rate:.1f}"
        say(
            f"{cost.forward_ms:7.1f}  {cost.backward_ms:8.1f}  {100 * cost.total_ms / whole_ms:6.1f}"
            f"  {cost.saved_mib:7.2f}  {rate:>6}  {cost.name} ({cost.type})"
        )
        say(f"{'':41}-> {cost.advice}" if cost.advice else "")
    saved_mib = sum(cost.saved_mib for cost in costs)
    say(
        f"all {len(costs)} layers: {whole_ms:.0f} ms, {saved_mib:.1f} MiB kept for the backward pass"
    )
    return 0
