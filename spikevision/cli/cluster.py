"""``spikevision cluster start|join|status|check|stop``."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikevision.cluster.record import NodeRecord

HELP = "start Ray on machines, look after it, end it"

EXAMPLES = """
one machine:           spikevision cluster start
several, the first:    spikevision cluster start --host 10.0.0.1 --tls
                       scp -rp ~/.ray/auth_token ~/.ray/tls 10.0.0.2:.ray/
         the others:   spikevision cluster join 10.0.0.1:6379
then, on any of them:  spikevision cluster check --storage /mnt/runs
                       spikevision train CONFIG --address auto --workers 2:4 --storage /mnt/runs --name first
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_start(actions.add_parser("start", help="start the head node on this machine"))
    _add_join(actions.add_parser("join", help="let this machine work for a head node"))
    status = actions.add_parser("status", help="which machines there are, and what is free")
    _add_address(status)
    check = actions.add_parser("check", help="try all that machines need of each other")
    _add_address(check)
    check.add_argument(
        "--storage", metavar="URI", help="what the jobs will be given: every machine tries it"
    )
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    actions.add_parser("stop", help="end what start or join started on this machine, no other Ray")


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address of this machine by which the others reach it (default: for this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=6379,
        help="first of the seven ports that Ray takes (%(default)s)",
    )
    parser.add_argument(
        "--dashboard-port", type=int, default=8265, help="on 127.0.0.1 (%(default)s)"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="encrypt Ray's connections; makes ~/.ray/tls, which the other machines need a copy of",
    )
    _add_size(parser)


def _add_join(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", metavar="HOST:PORT", help="the head node")
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        help="address of this machine (default: the one towards the head)",
    )
    _add_size(parser)


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpus", type=int, metavar="N", help="CPUs to count with; 0 keeps work off (default: all)"
    )
    parser.add_argument("--gpus", type=int, metavar="N", help="GPUs to count with (default: all)")


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        default="auto",
        help="head node (default: that of the node running here)",
    )


def run(args: argparse.Namespace) -> int:
    """Do what is asked; 1 when a check failed."""
    actions = {
        "start": _start,
        "join": _join,
        "status": _status,
        "check": _check,
        "stop": _stop,
    }
    return actions[args.action](args)


def _start(args: argparse.Namespace) -> int:
    from spikevision.cluster import node

    record = node.start(
        args.host,
        port=args.port,
        dashboard_port=args.dashboard_port,
        use_tls=args.tls,
        cpus=args.cpus,
        gpus=args.gpus,
    )
    print(_started(record))
    print(f"dashboard: {record.dashboard} (asks for the token; from elsewhere by an SSH tunnel)")
    if args.host != "127.0.0.1":
        secrets = "~/.ray/auth_token ~/.ray/tls" if args.tls else "~/.ray/auth_token"
        print(f"another machine: scp -rp {secrets} OTHER:.ray/, and there:")
        print(f"  spikevision cluster join {record.address}")
    return 0


def _join(args: argparse.Namespace) -> int:
    from spikevision.cluster import node

    print(_started(node.join(args.address, host=args.host, cpus=args.cpus, gpus=args.gpus)))
    return 0


def _started(record: "NodeRecord") -> str:
    what = "head node" if record.head else f"node of {record.address}"
    return f"{what} at {record.host}; jobs on it: --address auto; its end: spikevision cluster stop"


def _stop(args: argparse.Namespace) -> int:
    from spikevision.cluster import node

    print(f"ended {node.stop()} processes")
    return 0


def _status(args: argparse.Namespace) -> int:
    from spikevision.cluster.session import session
    from spikevision.cluster.status import free_of, nodes_of

    with session(args.address) as ray:
        nodes, (cpus, gpus) = nodes_of(ray), free_of(ray)
    print(f"{'node':<24} {'state':<10} {'CPU':>5} {'GPU':>5} {'GiB':>7}")
    for node in nodes:
        state = ("head" if node.head else "alive") if node.alive else "gone"
        print(
            f"{node.address:<24} {state:<10} {node.cpus:>5g} {node.gpus:>5g} {node.memory_gib:>7.1f}"
        )
    print(f"free: {cpus:g} CPU, {gpus:g} GPU")
    return 0


def _check(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from spikevision.cli.findings import lines_of, summary
    from spikevision.cluster.check import check

    findings = []
    for finding in check(args.address, storage=args.storage):
        findings.append(finding)
        if not args.json:
            print(lines_of(finding, width=13), flush=True)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(f"\n{summary(findings)}")
    return int(any(finding.status == "fail" for finding in findings))
