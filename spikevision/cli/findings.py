"""Findings of a check, as a person reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikevision.compat.doctor import Check

MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def lines_of(finding: "Check", *, width: int) -> str:
    """One finding, with how to mend it below.

    Args:
        finding: What was found.
        width: Characters for its name.
    """
    text = f"{MARKS[finding.status]}  {finding.name:<{width}}  {finding.detail}"
    if finding.remedy:
        text += f"\n{'':<{width + 6}}  -> {finding.remedy}"
    return text


def summary(findings: "Sequence[Check]") -> str:
    """How many there are of each kind."""
    counts = {status: sum(f.status == status for f in findings) for status in MARKS}
    return f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed"
