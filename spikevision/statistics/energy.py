"""Energy models: small frozen objects that turn a record into an estimate, each beside the equivalent ANN.

An estimate says what a chip with these constants would spend on these operations. No model here has been measured on
a chip; what each one assumes is in its ``source``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spikevision.statistics.record import Entry, Record
from spikevision.statistics.tensor_summary import LARGEST_INTEGER, Kind

__all__ = [
    "CLASSIC",
    "ENERGY_MODELS",
    "INTEGER",
    "MEMORY",
    "STRICT",
    "Energy",
    "EnergyModel",
    "LayerEnergy",
]

INTEGER_BITS = math.ceil(math.log2(LARGEST_INTEGER + 1))


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """Operations and energy per image of one layer, or of one kind of elementwise work.

    Args:
        part: ``first``, ``layer``, ``product``, ``operator``, ``classifier``, ``neuron``, ``normalisation`` or
            ``residual``.
        macs: Multiply-accumulates of the spiking network.
        acs: Accumulates of the spiking network.
        snn_pj: Energy of the spiking network, memory included where the model has it.
        ann_pj: Energy of the equivalent ANN.
    """

    part: str
    macs: float
    acs: float
    snn_pj: float
    ann_pj: float


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy per image under one model.

    Args:
        model: Name of the energy model.
        layers: Name -> share of each layer, in order of execution.
    """

    model: str
    layers: Mapping[str, LayerEnergy]

    @property
    def snn_pj(self) -> float:
        """Energy of the spiking network per image."""
        return sum(layer.snn_pj for layer in self.layers.values())

    @property
    def ann_pj(self) -> float:
        """Energy of an ANN of the same shape per image."""
        return sum(layer.ann_pj for layer in self.layers.values())

    @property
    def macs(self) -> float:
        """Multiply-accumulates of the spiking network per image."""
        return sum(layer.macs for layer in self.layers.values())

    @property
    def acs(self) -> float:
        """Accumulates of the spiking network per image."""
        return sum(layer.acs for layer in self.layers.values())


@dataclass(frozen=True, kw_only=True)
class EnergyModel:
    """Constants of a chip, and which operations are counted.

    A chip of your own: ``dataclasses.replace(STRICT, name="my chip", mac_pj=..., ac_pj=..., source="...")``.

    Args:
        name: Short name.
        source: Where the constants come from and what is assumed.
        mac_pj: Energy of a multiply-accumulate.
        ac_pj: Energy of an accumulate.
        method: Of a network that counted itself (a converted one) both methods take what it told: accumulates where unit
            events drive a layer, MACs elsewhere; ``strict`` adds neuron updates and residual additions. ``papers``: mean rate times MACs, every layer but the first counts accumulates, the first one counts
            MACs at all T steps, the classifier and elementwise work count nothing. ``strict``: exact synaptic
            operations; a layer whose input is not binary counts MACs; the classifier, neuron updates (one MAC for
            leak and input, one AC for threshold and reset), residual additions (AC) and normalisation that is not
            folded (MAC) count; each layer as often as it ran.
        multiplier_pj_per_bit: None gives the ANN ``mac_pj``. Else the ANN is a quantised one with as many levels as
            T steps can tell apart: its MAC costs this times ``ceil(log2(T + 1))`` bits, and one accumulate.
        memory_pj_per_bit: Energy per bit that is read or written. Each run of a layer reads its weights once, its
            input (binary 1 bit, small integer 6 bits) once and writes its output once; a neuron reads and writes
            its potential at each of several steps. 0 leaves memory out.
        weight_bits: Bits per weight.
        value_bits: Bits per real value: currents, potentials, activations of the ANN.
    """

    name: str
    source: str
    mac_pj: float
    ac_pj: float
    method: Literal["papers", "strict"] = "strict"
    multiplier_pj_per_bit: float | None = None
    memory_pj_per_bit: float = 0.0
    weight_bits: int = 32
    value_bits: int = 32

    def __post_init__(self) -> None:
        if self.method not in ("papers", "strict"):
            raise ValueError(f"method is {self.method!r}; known are 'papers' and 'strict'")

    def estimate(self, record: Record) -> Energy:
        """Energy per image, over all images of the record.

        Raises:
            ValueError: If the record is empty or holds no operations.
        """
        if not record.operations or not record.num_images:
            raise ValueError("energy needs a record of synaptic operations of at least one image")
        steps = record.time_steps
        layers = {name: self._layer(entry, steps) for name, entry in record.layers.items()}
        if self.method == "strict":
            layers |= self._elementwise(record)
        scale = 1 / record.num_images
        return Energy(
            model=self.name, layers={name: _scaled(layer, scale) for name, layer in layers.items()}
        )

    def ann_mac_pj(self, time_steps: int) -> float:
        """Energy of one MAC of the equivalent ANN."""
        if self.multiplier_pj_per_bit is None:
            return self.mac_pj
        return self.ac_pj + self.multiplier_pj_per_bit * level_bits(time_steps)

    def _layer(self, entry: Entry, time_steps: int) -> LayerEnergy:
        role = entry.about["role"]
        macs, acs = self._operations(entry, time_steps)
        dense = entry.total("ann_macs") if entry.about.get("graded") else entry.per_step("macs")[0]
        if self.method == "papers" and role == "classifier":
            dense = 0
        return LayerEnergy(
            part=role,
            macs=macs,
            acs=acs,
            snn_pj=macs * self.mac_pj + acs * self.ac_pj + self._memory_pj(entry),
            ann_pj=dense * self.ann_mac_pj(time_steps) + self._ann_memory_pj(entry, time_steps),
        )

    def _operations(self, entry: Entry, time_steps: int) -> tuple[float, float]:
        """MACs and ACs over all images."""
        role = entry.about["role"]
        if entry.about.get("graded"):
            driven = entry.kind is not Kind.REAL
            return (0, entry.total("synops")) if driven else (entry.total("macs"), 0)
        if self.method == "strict":
            if entry.kind is Kind.BINARY:
                return 0, entry.total("synops")
            return entry.total("macs"), 0
        if role == "first":
            return entry.per_step("macs")[0] * time_steps, 0
        return 0, 0 if role == "classifier" else rate_times_macs(entry)

    def _elementwise(self, record: Record) -> dict[str, LayerEnergy]:
        work = {"normalisation": (1, 0), "residual": (0, 1)}
        totals: dict[str, list[int]] = {part: [0] for part in work}
        for counts in record.elementwise.values():
            for part, values in counts.items():
                totals[part] = [sum(values) + totals[part][0], values[0] + totals[part][-1]]
        found = {}
        for part, (macs, acs) in work.items():
            total, once = totals[part][0], totals[part][-1]
            ann = once * (macs * self.mac_pj + acs * self.ac_pj)
            found[part] = self._work(part, total * macs, total * acs, ann_pj=ann)
        updates = sum(entry.total("elements") for entry in record.neurons.values())
        found["neuron updates"] = self._work(
            "neuron", updates, updates, more_pj=self._state_pj(record)
        )
        return found

    def _work(
        self, part: str, macs: int, acs: int, *, ann_pj: float = 0.0, more_pj: float = 0.0
    ) -> LayerEnergy:
        snn_pj = macs * self.mac_pj + acs * self.ac_pj + more_pj
        return LayerEnergy(part=part, macs=macs, acs=acs, snn_pj=snn_pj, ann_pj=ann_pj)

    def _state_pj(self, record: Record) -> float:
        """Reading and writing membrane potentials; a single step needs none."""
        streams = [entry for entry in record.neurons.values() if entry.time_steps > 1]
        return (
            sum(2 * entry.total("elements") for entry in streams)
            * self.value_bits
            * self.memory_pj_per_bit
        )

    def _memory_pj(self, entry: Entry) -> float:
        bits = {Kind.BINARY: 1, Kind.INTEGER: INTEGER_BITS, Kind.REAL: self.value_bits}[entry.kind]
        return self.memory_pj_per_bit * (
            entry.total("runs") * entry.about["weights"] * self.weight_bits
            + entry.total("inputs") * bits
            + entry.total("outputs") * self.value_bits
        )

    def _ann_memory_pj(self, entry: Entry, time_steps: int) -> float:
        bits = self.value_bits if self.multiplier_pj_per_bit is None else level_bits(time_steps)
        if entry.about.get("graded") and not entry.total("ann_macs"):
            return 0.0  # the ANN has nothing in its place
        runs, inputs, outputs = (entry.per_step(name)[0] for name in ("runs", "inputs", "outputs"))
        weights = runs * entry.about["weights"] * self.weight_bits
        return self.memory_pj_per_bit * (weights + (inputs + outputs) * bits)


def level_bits(time_steps: int) -> int:
    """Bits of an integer with as many levels as the number of spikes in T steps has."""
    return math.ceil(math.log2(time_steps + 1))


def rate_times_macs(entry: Entry) -> float:
    """Operations as papers count them: mean rate of the input times dense MACs, per image size and step.

    A real input counts as dense.
    """
    if entry.kind is Kind.REAL:
        return float(entry.total("macs"))
    return sum(
        macs * spikes / inputs
        for counts in entry.by_size.values()
        for macs, spikes, inputs in zip(
            counts["macs"], counts["spikes"], counts["inputs"], strict=True
        )
    )


def _scaled(layer: LayerEnergy, scale: float) -> LayerEnergy:
    return LayerEnergy(
        part=layer.part,
        macs=layer.macs * scale,
        acs=layer.acs * scale,
        snn_pj=layer.snn_pj * scale,
        ann_pj=layer.ann_pj * scale,
    )


HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014: 45 nm, 0.9 V"

CLASSIC = EnergyModel(
    name="classic 45 nm",
    source=f"{HOROWITZ}, 32-bit floating point; counted as in Spikformer, arXiv:2209.15425",
    mac_pj=4.6,
    ac_pj=0.9,
    method="papers",
)
STRICT = EnergyModel(
    name="strict 45 nm",
    source=f"{HOROWITZ}, 32-bit floating point; what a neuron update costs is our assumption",
    mac_pj=4.6,
    ac_pj=0.9,
)
MEMORY = EnergyModel(
    name="with memory",
    source=(
        f"{HOROWITZ}, 32-bit floating point; 3.12 pJ per bit moved as in STEP (24.96 pJ per byte), taken as per bit; "
        "that each run reads its weights once is our assumption"
    ),
    mac_pj=4.6,
    ac_pj=0.9,
    memory_pj_per_bit=3.12,
)
INTEGER = EnergyModel(
    name="integer, bit-matched",
    source=(
        f"{HOROWITZ}: 32-bit integer addition 0.1 pJ, 8-bit multiplication 0.2 pJ; 8-bit weights; that a multiplication "
        "costs in proportion to the bits of the activation is our assumption"
    ),
    mac_pj=0.3,
    ac_pj=0.1,
    multiplier_pj_per_bit=0.2 / 8,
    weight_bits=8,
)
ENERGY_MODELS = (CLASSIC, STRICT, MEMORY, INTEGER)
