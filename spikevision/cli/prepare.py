"""``spikevision prepare NAME``."""

import argparse

HELP = "fetch a small real data set and lay it out in folders"
# those of spikevision.datasets.preparers, which is not imported to show the help
NAMES = ("composite-digits", "fashion-mnist", "mnist-5k", "scratch-assay")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("name", help=f"data set: {', '.join(NAMES)}")
    parser.add_argument(
        "--root", default="data", metavar="DIR", help="folder for data sets (default: data)"
    )


def run(args: argparse.Namespace) -> int:
    """Prepare the set and say where it is."""
    from spikevision.datasets.preparers import prepare

    print(f"ready: {prepare(args.name, root=args.root)}")
    return 0
