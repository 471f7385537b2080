"""``spikevision prepare NAME``."""

import argparse

HELP = "fetch a small real data set and lay it out in folders"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("name", help="data set, e.g. mnist-5k")
    parser.add_argument(
        "--root", default="data", metavar="DIR", help="folder for data sets (default: data)"
    )


def run(args: argparse.Namespace) -> int:
    """Prepare the set and say where it is."""
    from spikevision.datasets.preparers import prepare

    print(f"ready: {prepare(args.name, root=args.root)}")
    return 0
