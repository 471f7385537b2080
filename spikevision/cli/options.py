"""Arguments that several verbs share."""

import argparse
import os
import shlex
from pathlib import Path
from typing import Any


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, the work folder and the overrides."""
    parser.add_argument("config", help="text config, e.g. configs/classification/....py")
    parser.add_argument(
        "--work-dir", metavar="DIR", help="put the run's folder here (default: work_dirs/<config>)"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="override config fields, e.g. train_cfg.max_epochs=3",
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
