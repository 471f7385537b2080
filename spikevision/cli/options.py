"""Arguments that several verbs share."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikevision.cluster.spec import ClusterSpec


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, the work folder and the overrides."""
    add_config(parser, example="train_cfg.max_epochs=3")
    parser.add_argument(
        "--work-dir", metavar="DIR", help="put the run's folder here (default: work_dirs/<config>)"
    )


def add_config(parser: argparse.ArgumentParser, *, example: str) -> None:
    """Add the config and the overrides, of a verb that makes no run folder; ``example`` is one override."""
    parser.add_argument("config", help="text config, e.g. configs/classification/....py")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help=f"override config fields, e.g. {example}",
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add the choice between one process and torchrun."""
    parser.add_argument(
        "--launcher",
        choices=("none", "pytorch"),
        default="none",
        help="pytorch: started by torchrun, one process per device",
    )


def add_spike_stats(parser: argparse.ArgumentParser) -> None:
    """Add the wish for statistics of spikes."""
    parser.add_argument(
        "--spike-stats",
        action="store_true",
        help="count spikes, operations and energy at each validation and test, into statistics.json",
    )


def statistics_hint(run_dir: Path) -> str:
    """What to do with the statistics of a run; empty when it has none."""
    if not (run_dir / "statistics.json").is_file():
        return ""
    return f"spike statistics are in it; a page of them: {shlex.join(['spikevision', 'report', str(run_dir)])}"


def add_cluster_arguments(parser: argparse.ArgumentParser, *, training: bool) -> None:
    """Add the flags that take a job to Ray: to more processes here, or to a cluster."""
    group = parser.add_argument_group(
        "cluster", "any of these runs the job on Ray (pip install 'spikevision[ray]')"
    )
    group.add_argument(
        "--address",
        metavar="WHERE",
        help="local: a Ray of its own on this machine (default); auto: the one running here; HOST:PORT: one elsewhere",
    )
    group.add_argument(
        "--workers",
        metavar="N|MIN:MAX",
        help="processes; MIN:MAX goes on with fewer when machines are lost, and grows again",
    )
    group.add_argument(
        "--gpus-per-worker", type=float, metavar="G", help="default: 1 where the cluster has GPUs"
    )
    group.add_argument(
        "--max-failures",
        type=int,
        metavar="N",
        help="lost workers to survive (default 3; -1: any number; spot notices are not counted)",
    )
    if training:
        group.add_argument(
            "--storage",
            metavar="URI",
            help="where runs and checkpoints go: a folder that all machines share, or s3://bucket/path "
            "(default: the work dir)",
        )
        group.add_argument(
            "--name", help="name of the run; the same command with the same name goes on with it"
        )


def cluster_spec(args: argparse.Namespace) -> "ClusterSpec | None":
    """Size and place of a job on Ray; None when none of its flags was given.

    Raises:
        ValueError: A flag with a value that cannot be meant, or together with ``--launcher``.
    """
    names = ("address", "workers", "gpus_per_worker", "storage", "name", "max_failures")
    given = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    if not given:
        return None
    if args.launcher != "none":
        raise ValueError(f"--launcher {args.launcher} is for torchrun; leave it out with --address")
    from spikevision.cluster.spec import ClusterSpec, parse_workers

    if "workers" in given:
        given["workers"] = parse_workers(given["workers"])
    return ClusterSpec(**given)


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as a dict, values read as mmengine reads them.

    Raises:
        ValueError: A word without ``=``.
    """
    from mmengine.config import DictAction

    for pair in pairs:
        if not pair.partition("=")[1]:
            raise ValueError(f"--cfg-options takes KEY=VALUE, got {pair!r}")
    reader = argparse.ArgumentParser()
    reader.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    return dict(reader.parse_args(["--cfg-options", *pairs] if pairs else []).cfg_options)


def metric_table(metrics: dict[str, Any]) -> str:
    """Metrics, as ``run.json`` keeps them, as aligned lines."""
    width = max((len(name) for name in metrics), default=0)
    lines = []
    for name, entry in metrics.items():
        value = entry["value"]
        shown = f"{value:.4g}" if isinstance(value, (int, float)) else value
        lines.append(f"{name:<{width}}  {shown} {entry['unit']}".rstrip())
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a result; of several processes, only the first one prints."""
    if text and os.environ.get("RANK", "0") == "0":
        print(text)
