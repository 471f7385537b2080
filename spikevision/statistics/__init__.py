"""Spikes, synaptic operations and energy of any model: a recorder, a hook, energy models, an audit and a report.

Nothing here belongs to a model. ``recorder`` counts whole numbers through forward hooks, ``record`` adds them up
exactly, and the other files derive figures from the record.
"""

from spikevision.statistics.audit import Finding, audit, audit_calls, breaks_rule
from spikevision.statistics.break_even import break_even_steps
from spikevision.statistics.energy import (
    CLASSIC,
    ENERGY_MODELS,
    INTEGER,
    MEMORY,
    STRICT,
    Energy,
    EnergyModel,
)
from spikevision.statistics.firing_check import FiringCheckHook
from spikevision.statistics.firing_rate import FiringRate, firing_rates, rate_warnings
from spikevision.statistics.hook import SAMPLES, STATISTICS, SpikeStatisticsHook
from spikevision.statistics.macs import count_macs
from spikevision.statistics.profile import LayerCost, profile_calls
from spikevision.statistics.published import PUBLISHED_SPIKFORMER, PublishedEnergy
from spikevision.statistics.record import Record, merge_records, read_record
from spikevision.statistics.recorder import SpikeRecorder
from spikevision.statistics.report import RunStatistics, report_page
from spikevision.statistics.summary import scalars, summarise

__all__ = [
    "CLASSIC",
    "ENERGY_MODELS",
    "INTEGER",
    "MEMORY",
    "PUBLISHED_SPIKFORMER",
    "STRICT",
    "Energy",
    "EnergyModel",
    "Finding",
    "FiringCheckHook",
    "FiringRate",
    "LayerCost",
    "SAMPLES",
    "STATISTICS",
    "PublishedEnergy",
    "Record",
    "RunStatistics",
    "SpikeRecorder",
    "SpikeStatisticsHook",
    "audit",
    "audit_calls",
    "break_even_steps",
    "breaks_rule",
    "count_macs",
    "firing_rates",
    "merge_records",
    "profile_calls",
    "rate_warnings",
    "read_record",
    "report_page",
    "scalars",
    "summarise",
]
