"""``spikevision jobs list|logs|stop``."""

import argparse

from spikevision.cli.submit import add_dashboard, follow

HELP = "list, follow or stop what was submitted to a cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_dashboard(actions.add_parser("list", help="all jobs and their state"))
    for action, what in (
        ("logs", "print what a job wrote, and follow it until it ends; Ctrl-C leaves it running"),
        ("stop", "end a job; its run goes on when the same command is submitted again"),
    ):
        below = actions.add_parser(action, help=what)
        below.add_argument("job", help="name of the job")
        add_dashboard(below)


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    from spikevision.cluster.jobs import Jobs

    jobs = Jobs(args.dashboard)
    if args.action == "logs":
        return follow(jobs, args.job)
    if args.action == "stop":
        jobs.stop(args.job)
        print(f"job {args.job} was told to end")
        return 0
    for job in jobs.list():
        print(f"{job.name:<32} {job.status.lower():<10} {job.command}")
    return 0
