"""The record of what was counted: whole numbers only, so that records add up exactly in any grouping and order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import zip_longest
from pathlib import Path
from typing import Any

from spikevision.statistics.tensor_summary import Kind

__all__ = ["SCHEMA", "Counts", "Entry", "Record", "merge_records", "read_record"]

SCHEMA = "spikevision.statistics/1"
SPIKES = ("spikes", "synops")

Counts = dict[str, list[int]]
"""Quantity -> number at each time step."""


@dataclass(kw_only=True)
class Entry:
    """What was counted at one neuron or one synaptic layer.

    Args:
        about: Facts that do not change between calls: ``type``, ``role``, sizes.
        kind: What the spikes (of a neuron) or the input (of a layer) were at most.
        by_size: Image size ``HxW`` -> counts. What counted itself (``graded`` in ``about``) also has ``ann_macs``, those
            of the ANN in its place, and its spikes are unit events. A neuron has ``elements`` and ``spikes``; a layer has ``runs`` (images
            times calls), ``inputs``, ``outputs``, ``macs``, and unless its input is real ``spikes`` and ``synops``.
        channel_spikes: Spikes of each channel of a neuron over all images, steps and positions.
    """

    about: dict[str, Any]
    kind: Kind = Kind.BINARY
    by_size: dict[str, Counts] = field(default_factory=dict)
    channel_spikes: list[int] = field(default_factory=list)

    def add(self, size: str, kind: Kind, counts: Counts) -> None:
        """Add the counts of one call."""
        _add_into(self.by_size.setdefault(size, {}), counts)
        self._raise_kind(kind)

    def add_channels(self, spikes: list[int]) -> None:
        """Add the spikes of each channel."""
        self.channel_spikes = _add(self.channel_spikes, spikes)

    def total(self, quantity: str) -> int:
        """Sum of a quantity over image sizes and time steps; 0 where it was not counted."""
        return sum(self.per_step(quantity))

    def per_step(self, quantity: str) -> list[int]:
        """Sum of a quantity over image sizes, at each time step."""
        steps: list[int] = []
        for counts in self.by_size.values():
            steps = _add(steps, counts.get(quantity, []))
        return steps

    @property
    def time_steps(self) -> int:
        """Number of time steps at which it ran."""
        return max(
            (len(steps) for counts in self.by_size.values() for steps in counts.values()), default=0
        )

    def merge(self, other: Entry) -> Entry:
        """Both together.

        Raises:
            ValueError: If the two are not of the same layer.
        """
        if self.about != other.about:
            raise ValueError(f"cannot merge statistics of {self.about} with those of {other.about}")
        merged = Entry(
            about=dict(self.about), channel_spikes=_add(self.channel_spikes, other.channel_spikes)
        )
        for entry in (self, other):
            for size, counts in entry.by_size.items():
                merged.add(size, entry.kind, counts)
        return merged

    def _raise_kind(self, kind: Kind) -> None:
        """Real values have no spikes to count, whichever call met them: how images are batched must not matter."""
        self.kind = max(self.kind, kind)
        if self.kind is Kind.REAL:
            self.channel_spikes = []
            for counts in self.by_size.values():
                for quantity in SPIKES:
                    counts.pop(quantity, None)


@dataclass(kw_only=True)
class Record:
    """Everything that a recorder counted.

    Args:
        operations: Whether synaptic layers were counted, or neurons alone.
        images: Image size ``HxW`` -> number of images.
        neurons: Neuron name -> counts, in order of execution.
        layers: Synaptic layer name -> counts, in order of execution. A product of attention has its formula appended.
        elementwise: Image size -> values that were normalised (``normalisation``) and added (``residual``).
    """

    operations: bool = True
    images: dict[str, int] = field(default_factory=dict)
    neurons: dict[str, Entry] = field(default_factory=dict)
    layers: dict[str, Entry] = field(default_factory=dict)
    elementwise: dict[str, Counts] = field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """Number of images of all sizes."""
        return sum(self.images.values())

    @property
    def time_steps(self) -> int:
        """Number of time steps of the network: of its neurons, or of all that counted itself."""
        counted = [entry for entry in self.layers.values() if entry.about.get("graded")]
        return max((entry.time_steps for entry in (*self.neurons.values(), *counted)), default=1)

    def first_steps(self, number: int) -> Record:
        """What was counted up to a time step, without channels.

        Of a network whose steps do not know how many follow, this is the record of a shorter run.
        """

        def cut(counts: Counts) -> Counts:
            return {name: steps[:number] for name, steps in counts.items()}

        def cut_all(entries: dict[str, Entry]) -> dict[str, Entry]:
            return {
                name: Entry(
                    about=entry.about,
                    kind=entry.kind,
                    by_size={size: cut(counts) for size, counts in entry.by_size.items()},
                )
                for name, entry in entries.items()
            }

        elementwise = {size: cut(counts) for size, counts in self.elementwise.items()}
        return Record(
            operations=self.operations,
            images=dict(self.images),
            neurons=cut_all(self.neurons),
            layers=cut_all(self.layers),
            elementwise=elementwise,
        )

    def merge(self, other: Record) -> Record:
        """Both together, exactly: merging is associative, and commutes but for the order of names.

        Raises:
            ValueError: If the two are not of the same model or do not count the same things.
        """
        if self.operations != other.operations:
            raise ValueError(
                "cannot merge statistics with operations and statistics of neurons alone"
            )
        merged = Record(operations=self.operations)
        for record in (self, other):
            for size, count in record.images.items():
                merged.images[size] = merged.images.get(size, 0) + count
            for size, counts in record.elementwise.items():
                _add_into(merged.elementwise.setdefault(size, {}), counts)
        merged.neurons = _merge_entries(self.neurons, other.neurons)
        merged.layers = _merge_entries(self.layers, other.layers)
        return merged

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values, see ``docs/statistics.md``."""
        return {
            "schema": SCHEMA,
            "operations": self.operations,
            "images": dict(self.images),
            "neurons": {name: _entry_to_dict(entry) for name, entry in self.neurons.items()},
            "layers": {name: _entry_to_dict(entry) for name, entry in self.layers.items()},
            "elementwise": {size: dict(counts) for size, counts in self.elementwise.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Undo :meth:`to_dict`.

        Raises:
            ValueError: If the values are of another schema.
        """
        if values.get("schema") != SCHEMA:
            raise ValueError(
                f"expected statistics of schema {SCHEMA!r}, got {values.get('schema')!r}"
            )
        return cls(
            operations=values["operations"],
            images=values["images"],
            neurons={name: _entry_from_dict(entry) for name, entry in values["neurons"].items()},
            layers={name: _entry_from_dict(entry) for name, entry in values["layers"].items()},
            elementwise=values["elementwise"],
        )


def merge_records(records: Iterable[Record]) -> Record:
    """All records together; the result does not depend on how they are grouped.

    Raises:
        ValueError: If there is none, or they are not of the same model.
    """
    first, *rest = records
    merged = first
    for record in rest:
        merged = merged.merge(record)
    return merged


def read_record(path: str | Path) -> Record:
    """The record in a ``statistics.json``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is not a record of this schema.
    """
    return Record.from_dict(json.loads(Path(path).read_text()))


def _merge_entries(ours: dict[str, Entry], theirs: dict[str, Entry]) -> dict[str, Entry]:
    names = [*ours, *(name for name in theirs if name not in ours)]
    merged = {}
    for name in names:
        found = [entries[name] for entries in (ours, theirs) if name in entries]
        merged[name] = reduce(Entry.merge, found, Entry(about=found[0].about))
    return merged


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    values = {"about": entry.about, "kind": entry.kind.name.lower(), "by_size": entry.by_size}
    return {**values, "channel_spikes": entry.channel_spikes} if entry.channel_spikes else values


def _entry_from_dict(values: dict[str, Any]) -> Entry:
    return Entry(
        about=values["about"],
        kind=Kind[values["kind"].upper()],
        by_size=values["by_size"],
        channel_spikes=values.get("channel_spikes", []),
    )


def _add_into(counts: Counts, more: Counts) -> None:
    for quantity, steps in more.items():
        counts[quantity] = _add(counts.get(quantity, []), steps)


def _add(a: list[int], b: list[int]) -> list[int]:
    return [x + y for x, y in zip_longest(a, b, fillvalue=0)]
