"""``spikevision render k8s|launcher|slurm -- VERB ...``."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from spikevision.cli.remote import add_command, checked

if TYPE_CHECKING:
    from spikevision.cluster.manifests import Manifest

HELP = "write the file with which Kubernetes, a cloud or Slurm runs a command"

EXAMPLES = """
spikevision render k8s --image registry/team/spikevision:1 -o job.yaml -- train CONFIG --workers 2:8 \\
    --gpus-per-worker 1 --storage s3://bucket/runs --name first
spikevision render launcher --worker-config InstanceType=g6.xlarge ... -- train ...
spikevision render slurm --time 8:00:00 ... -- train ...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    k8s = kinds.add_parser("k8s", help="a RayJob for KubeRay")
    k8s.add_argument("--image", required=True, help="container image with spikevision[ray]")
    k8s.add_argument(
        "--node-selector",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="labels of the machines for workers, e.g. of spot machines",
    )
    launcher = kinds.add_parser("launcher", help="a file for Ray's cluster launcher, `ray up`")
    launcher.add_argument("--provider", default="aws", help="aws, gcp or azure (%(default)s)")
    launcher.add_argument("--region", default="us-east-1", help="%(default)s")
    launcher.add_argument("--user", default="ubuntu", help="login on the machines (%(default)s)")
    for role in ("head", "worker"):
        launcher.add_argument(
            f"--{role}-config",
            nargs="+",
            default=[],
            metavar="KEY=VALUE",
            help=f"the provider's node_config of the {role}, e.g. InstanceType=...",
        )
    slurm = kinds.add_parser("slurm", help="a script for sbatch")
    slurm.add_argument("--time", default="24:00:00", help="limit (%(default)s)")
    for kind in (k8s, launcher, slurm):
        _add_machines(kind)


def _add_machines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="default: print it")
    group = parser.add_argument_group(
        "machines", "their number follows from the command's --workers"
    )
    group.add_argument("--workers-per-node", type=int, default=1, metavar="N", help="%(default)s")
    group.add_argument("--cpus-per-node", type=int, default=4, metavar="N", help="%(default)s")
    group.add_argument("--memory-gib", type=int, default=16, metavar="N", help="%(default)s")
    add_command(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file, or print it."""
    text = _rendered(args, _manifest(args))
    if args.output is None:
        sys.stdout.write(text)
        return 0
    from pathlib import Path

    Path(args.output).write_text(text)
    print(
        f"{args.output}: {text.splitlines()[0].lstrip('# ') if text[:2] == '# ' else 'sbatch it'}"
    )
    return 0


def _manifest(args: argparse.Namespace) -> "Manifest":
    """Command and machines.

    Raises:
        ValueError: The command lacks what only its writer knows.
    """
    from spikevision.cluster.manifests import Manifest
    from spikevision.cluster.spec import ClusterSpec, parse_workers

    command = checked(args.command)
    missing = [
        f"--{name}"
        for name in ("name", "storage")
        if hasattr(command, name) and getattr(command, name) is None
    ]
    if missing:
        raise ValueError(
            f"the command needs {' and '.join(missing)}: a run on machines that come and go is known by its name, and "
            f"lives in a storage that all of them see"
        )
    workers = parse_workers(command.workers or "1")
    ClusterSpec(workers=workers, gpus_per_worker=command.gpus_per_worker)  # says what is wrong
    return Manifest(
        name=(getattr(command, "name", None) or args.command[0]).lower().replace("_", "-"),
        command=tuple(args.command),
        workers=workers,
        gpus_per_worker=command.gpus_per_worker or 0.0,
        workers_per_node=args.workers_per_node,
        cpus_per_node=args.cpus_per_node,
        memory_gib=args.memory_gib,
    )


def _rendered(args: argparse.Namespace, manifest: "Manifest") -> str:
    from spikevision.cluster import manifests

    if args.kind == "k8s":
        selector = _pairs(args.node_selector)
        return manifests.kuberay(manifest, image=args.image, node_selector=selector)
    if args.kind == "slurm":
        return manifests.slurm(manifest, time=args.time)
    cloud = manifests.Cloud(
        provider=args.provider,
        region=args.region,
        user=args.user,
        head=_pairs(args.head_config),
        worker=_pairs(args.worker_config),
    )
    return manifests.launcher(manifest, cloud)


def _pairs(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as a dict.

    Raises:
        ValueError: A word without ``=``.
    """
    for word in words:
        if not word.partition("=")[1]:
            raise ValueError(f"expected KEY=VALUE, got {word!r}")
    return {key: value for key, _, value in (word.partition("=") for word in words)}
