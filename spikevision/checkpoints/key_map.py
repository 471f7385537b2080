"""How published module names become ours: literal tables, so that every official key is accounted for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KeyMap"]


@dataclass(frozen=True)
class KeyMap:
    """The names of one family.

    Attributes:
        scopes: Regular expression of an official prefix -> (our prefix, table of the modules below it). An empty
            name in a table stands for the prefix itself.
        dead: Regular expressions of official keys that the published forward never uses.
        signature: Official keys that tell this family from the others.
    """

    scopes: Mapping[str, tuple[str, Mapping[str, str]]]
    dead: tuple[str, ...]
    signature: frozenset[str]

    def is_dead(self, key: str) -> bool:
        """Whether the published model stores this key without using it."""
        return any(re.fullmatch(pattern, key) for pattern in self.dead)

    def rename(self, key: str) -> str | None:
        """Our name of an official key, or None for a key that the family does not have."""
        module, _, tensor = key.rpartition(".")
        for pattern, (prefix, table) in self.scopes.items():
            match = re.match(pattern + r"(?:\.|$)", module)
            if match and module[match.end() :] in table:
                parts = [match.expand(prefix), table[module[match.end() :]], tensor]
                return ".".join(part for part in parts if part)
        return None
