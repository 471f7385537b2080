"""``spikevision submit -- VERB ...``."""

import argparse
import os
from typing import TYPE_CHECKING

from spikevision.cli.remote import add_command, checked, with_address

if TYPE_CHECKING:
    from spikevision.cluster.jobs import Jobs

HELP = "run a command on a cluster and follow what it writes; Ctrl-C leaves it running"

DETACHED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.usage = "spikevision submit [options] -- VERB ..."
    add_dashboard(parser)
    parser.add_argument("--job", metavar="NAME", help="name of the job (default: Ray's choice)")
    parser.add_argument(
        "--folder",
        metavar="DIR",
        default=os.curdir,
        help="run in this folder, which the head node has under the same path (default: the one here)",
    )
    parser.add_argument(
        "--upload",
        action="store_true",
        help="send the folder along instead, without what .gitignore names (at most 512 MiB; data stays out)",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="interpreter on the head node (default: the one that its Ray runs with)",
    )
    parser.add_argument("--detach", action="store_true", help="do not follow what it writes")
    add_command(parser)


def add_dashboard(parser: argparse.ArgumentParser) -> None:
    """Add where the cluster's dashboard is."""
    parser.add_argument(
        "--dashboard",
        metavar="URL",
        help="default: that of the head on this machine, or http://127.0.0.1:8265, the end of an SSH tunnel",
    )


def run(args: argparse.Namespace) -> int:
    """Send a command; follow it."""
    checked(args.command)
    from spikevision.cluster.jobs import Jobs

    jobs = Jobs(args.dashboard)
    name = jobs.submit(
        with_address(args.command),
        folder=os.path.abspath(args.folder),
        name=args.job,
        python=args.python,
        upload=args.upload,
    )
    print(
        f"job {name}; spikevision jobs logs {name} follows it, spikevision jobs stop {name} ends it"
    )
    return 0 if args.detach else follow(jobs, name)


def follow(jobs: "Jobs", name: str) -> int:
    """Print what a job writes until it ends; 0 when it succeeded, 130 when Ctrl-C left it running."""
    try:
        job = jobs.follow(name, lambda text: print(text, end="", flush=True))
    except KeyboardInterrupt:
        print(f"\njob {name} goes on; spikevision jobs logs {name} follows it again")
        return DETACHED
    print(f"job {name}: {job.status.lower()}{f', {job.message}' if job.status == 'FAILED' else ''}")
    return 0 if job.status == "SUCCEEDED" else 1
