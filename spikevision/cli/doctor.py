"""``spikevision doctor``: what is installed, what works, how to mend what does not."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from spikevision.cli.findings import lines_of, summary

if TYPE_CHECKING:
    from spikevision.compat.doctor import Check

__all__ = ["HELP", "add_arguments", "run"]

HELP = "check the installation: versions, operators, checkpoints, the machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; return 1 if something fails, 0 otherwise."""
    import warnings

    from spikevision.compat.doctor import check

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' deprecations are not the user's to mend
        findings = check()
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(_table(findings))
    return int(any(finding.status == "fail" for finding in findings))


def _table(findings: "list[Check]") -> str:
    width = max(len(finding.name) for finding in findings)
    lines = [lines_of(finding, width=width) for finding in findings]
    return "\n".join([*lines, "", summary(findings)])
