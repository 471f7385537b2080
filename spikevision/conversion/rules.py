"""Which part of a model is converted how: patterns of module names, the first match wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["Rules"]


class Rules:
    """Config by module name.

    A pattern is the name of a module (which speaks for all that is inside) or ``re:`` and a regular expression that
    must match the whole name. A module with config None stays as it is and is computed in floating point on the
    running mean of its input, which keeps it exact; a read-out head is the usual case. Modules that no pattern
    matches get ``default``.

    Args:
        default: Config of modules that no pattern matches.
        patterns: Pattern -> config or None.
    """

    def __init__(self, default: Any, patterns: Mapping[str, Any] | None = None) -> None:
        self.default = default
        self.patterns = dict(patterns or {})
        self._known: dict[str, Any] = {}

    def config_of(self, name: str) -> Any:
        """Config of the module of that name, or None."""
        if name not in self._known:
            found = (c for pattern, c in self.patterns.items() if matches(pattern, name))
            self._known[name] = next(found, self.default)
        return self._known[name]

    def check(self, model: nn.Module) -> None:
        """Refuse a pattern that matches no module.

        Raises:
            ValueError: If there is one.
        """
        names = [name for name, _ in model.named_modules()]
        for pattern in self.patterns:
            if not any(matches(pattern, name) for name in names):
                raise ValueError(
                    f"the rule {pattern!r} matches no module; names begin like "
                    f"{', '.join(map(repr, names[1:6]))}"
                )


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern speaks for the module of that name."""
    if pattern.startswith("re:"):
        return re.fullmatch(pattern[3:], name) is not None
    return name == pattern or name.startswith(f"{pattern}.")
