"""What a sweep moves and what it looks for: a text config, read and checked without Ray."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch, fnmatchcase
from math import prod
from pathlib import Path
from typing import Any

from mmengine.config import Config

from spikevision.jobs.recipe import FIELDS
from spikevision.tasks import ENERGY, TaskSpec

KINDS = {  # the settings that each kind of parameter takes; their meaning is that of ray.tune
    "choice": ("values",),
    "grid": ("values",),
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "quniform": ("low", "high", "q"),
    "randint": ("low", "high"),
}
SEARCHES = ("random", "grid", "optuna")
SEARCH = {"type": "random", "trials": 12, "seed": 0, "concurrent": None}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "asha": {"grace": None, "factor": 3},
    "median": {"grace": None, "min_trials": 3},
}
LINK = " & "
NEAREST = 3


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One thing that moves.

    Args:
        fields: Dotted fields of the config, which all get the same value.
        kind: A key of :data:`KINDS`.
        settings: What this kind takes, e.g. ``{"values": [1, 2, 4]}``.
    """

    fields: tuple[str, ...]
    kind: str
    settings: Mapping[str, Any]

    def value_of(self, drawn: Any) -> Any:
        """The value of a draw: of listed values the place in the list is drawn, so that they may be of any type."""
        return self.settings["values"][drawn] if "values" in self.settings else drawn


@dataclass(frozen=True, kw_only=True)
class Space:
    """A sweep.

    Args:
        parameters: Name, as the file has it -> what moves.
        objectives: Metric -> ``max`` or ``min``; the first one judges trials while they run.
        search: Settings of the search, all of :data:`SEARCH`.
        scheduler: Settings of the rule that stops trials early; None runs all to their end.
        text: The whole file, bases included.
    """

    parameters: Mapping[str, Parameter]
    objectives: Mapping[str, str]
    search: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None
    text: str

    @property
    def trials(self) -> int:
        """Number of trials: each point of the listed grids is tried once, or with each random draw."""
        listed = ("grid", "choice") if self.search["type"] == "grid" else ("grid",)
        grids = [
            len(each.settings["values"]) for each in self.parameters.values() if each.kind in listed
        ]
        return prod(grids) * (1 if self.search["type"] == "grid" else int(self.search["trials"]))

    def listed(self, field: str) -> list[Any]:
        """The values that a field is given from a list; empty when it does not move, or is drawn from a range."""
        lists = [
            p.settings.get("values", ()) for p in self.parameters.values() if field in p.fields
        ]
        return [value for values in lists for value in values]

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Parameter -> value of a trial."""
        return {name: each.value_of(drawn[name]) for name, each in self.parameters.items()}

    def options(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Field of the config -> value of a trial."""
        values = self.values(drawn)
        return {field: values[n] for n, each in self.parameters.items() for field in each.fields}


def read_space(path: str | Path, *, config: Config, task: TaskSpec) -> Space:
    """Read a space and check it against the config that it moves.

    Args:
        path: Text config with ``space`` and, if wanted, ``objectives``, ``search`` and ``scheduler``.
        config: The config of the trials.
        task: Its task; gives the objectives where the file has none: its metric, and the energy.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Something in it is not right; says what, and what would do.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"space {str(path)!r} does not exist (looked from {Path.cwd()})")
    try:
        raw = Config.fromfile(path, lazy_import=False)
    except Exception as error:  # mmengine wraps its own in classes that it does not export
        raise ValueError(
            f"cannot read space {str(path)!r}: {type(error).__name__}: {error}"
        ) from error
    given = raw.to_dict()
    unknown = given.keys() - {"space", "objectives", "search", "scheduler"}
    if unknown or not given.get("space"):
        raise ValueError(
            f"space {str(path)!r}: expected `space = {{'FIELD': dict(type='choice', values=[...])}}` and, if wanted, "
            f"objectives, search, scheduler; found {', '.join(sorted(given)) or 'nothing'}"
        )
    fields = list(dict.fromkeys([*_fields(config.to_dict()), *FIELDS]))
    parameters = {name: _parameter(name, kind, fields) for name, kind in given["space"].items()}
    _check_apart(parameters)
    search = _settings("search", given.get("search") or {}, {t: SEARCH for t in SEARCHES})
    _check_search(search, parameters)
    scheduler = given.get("scheduler", {"type": "asha"})
    return Space(
        parameters=parameters,
        objectives=_objectives(given.get("objectives"), task),
        search=search,
        scheduler=scheduler and _settings("scheduler", scheduler, SCHEDULERS),
        text=raw.pretty_text,
    )


def _parameter(name: str, given: Any, fields: Sequence[str]) -> Parameter:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind not in KINDS:
        raise ValueError(
            f"space {name!r}: expected dict(type=...) with one of {', '.join(KINDS)}, got {given!r}"
        )
    settings = {key: value for key, value in given.items() if key != "type"}
    if set(settings) != set(KINDS[kind]):
        raise ValueError(
            f"space {name!r}: {kind} takes {', '.join(KINDS[kind])}; got {', '.join(settings) or 'nothing'}"
        )
    if "values" in settings and not (
        isinstance(settings["values"], (list, tuple)) and settings["values"]
    ):
        raise ValueError(f"space {name!r}: values has to be a list of at least one value")
    if "low" in settings:
        least = 0.0 if kind == "loguniform" else float("-inf")
        if not least < settings["low"] < settings["high"]:
            above = "0 < " if kind == "loguniform" else ""
            raise ValueError(f"space {name!r}: expected {above}low < high, got {settings}")
    found = [field for part in name.split(LINK) for field in _matching(part.strip(), fields)]
    return Parameter(fields=tuple(dict.fromkeys(found)), kind=kind, settings=settings)


def _matching(pattern: str, fields: Sequence[str]) -> list[str]:
    """Fields that a part of a name means: itself, or all that fit where it has a ``*``.

    Raises:
        ValueError: The config has none; says which come near.
    """
    found = [field for field in fields if fnmatchcase(field, pattern)] if "*" in pattern else []
    if pattern in fields:
        return [pattern]
    if found:
        return found
    near = difflib.get_close_matches(pattern.replace("*", ""), fields, n=NEAREST, cutoff=0.5)
    last = pattern.rpartition(".")[2]
    near = list(dict.fromkeys([*near, *(f for f in fields if f.rpartition(".")[2] == last)]))
    hint = f"nearest are {', '.join(map(repr, near[:NEAREST]))}" if near else "nothing comes near"
    raise ValueError(
        f"space: the config has no field {pattern!r}; {hint}. What a class takes but the config does not write can be "
        f"added with --cfg-options first"
    )


def _fields(node: Any, above: str = "") -> Iterator[str]:
    """Dotted names of all fields, list items by number; not those of a teacher, which does not train."""
    items: Iterable[tuple[Any, Any]] = node.items() if isinstance(node, Mapping) else ()
    if isinstance(node, (list, tuple)):
        items = enumerate(node)
    for name, value in items:
        if name == "teacher":
            continue
        field = f"{above}.{name}" if above else str(name)
        yield field
        yield from _fields(value, field)


def _check_apart(parameters: Mapping[str, Parameter]) -> None:
    owners: dict[str, str] = {}
    for name, parameter in parameters.items():
        for field in parameter.fields:
            if field in owners:
                raise ValueError(f"space: both {owners[field]!r} and {name!r} move {field!r}")
            owners[field] = name


def _settings(what: str, given: Any, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings with their defaults."""
    kind = given.get("type", next(iter(known)))
    if kind not in known:
        raise ValueError(f"{what}: type is {kind!r}; known are {', '.join(map(repr, known))}")
    taken = {key for key in known[kind] if key != "type"}
    unknown = given.keys() - taken - {"type"}
    if unknown:
        raise ValueError(
            f"{what} {kind!r} takes {', '.join(sorted(taken))}; unknown: {', '.join(sorted(unknown))}"
        )
    settings = {**known[kind], **given, "type": kind}
    for key, value in settings.items():
        least = {"trials": 1, "concurrent": 1, "grace": 1, "factor": 2, "min_trials": 1}.get(key)
        if least is not None and value is not None and value < least:
            raise ValueError(f"{what}: {key} is {value}, expected {least} or more")
    return settings


def _check_search(search: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> None:
    """A grid needs lists; Optuna draws each value itself."""
    kind = search["type"]
    wrong = [
        name
        for name, each in parameters.items()
        if (kind == "grid" and "values" not in each.settings)
        or (kind == "optuna" and each.kind == "grid")
    ]
    if wrong:
        mend = {"grid": "list its values (choice or grid)", "optuna": "make it a choice"}[kind]
        raise ValueError(
            f"search {kind!r} and space {wrong[0]!r} ({parameters[wrong[0]].kind}): {mend}"
        )


def _objectives(given: Any, task: TaskSpec) -> dict[str, str]:
    """The objectives, the task's own where none are given."""
    if given is None:
        return {task.metric: "max" if task.greater_is_better else "min", ENERGY: "min"}
    for metric, mode in given.items():
        if not any(fnmatch(metric, pattern) for pattern in task.metrics):
            raise ValueError(
                f"objectives: {task.name} has no metric {metric!r}; known are {', '.join(task.metrics)}"
            )
        if mode not in ("max", "min"):
            raise ValueError(f"objectives: {metric!r} is {mode!r}, expected 'max' or 'min'")
    if not given:
        raise ValueError(f"objectives: at least one, e.g. {{{task.metric!r}: 'max'}}")
    return dict(given)
