"""``spikevision report RUN...``."""

import argparse

from spikevision.cli.options import say

HELP = "one HTML page on the spikes and the energy of a run, or comparing several"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folder that holds statistics.json"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="page to write (default: report.html in the first run folder)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from spikevision.jobs.report import write_report

    say(f"report: {write_report(args.runs, output=args.output)}")
    return 0
