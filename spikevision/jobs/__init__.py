"""Jobs: ``RunSpec -> RunResult`` in this process, through mmengine's Runner and stock hooks.

``train``, ``evaluate`` and ``infer`` are the jobs; the other modules are what they share: run folders and their record,
the config, weights, stopping and going on. Nothing here prints, parses arguments or knows of a cluster. Importing
the package registers its loop and hooks; a job itself is imported from its module, e.g. ``spikevision.jobs.train``.
"""

from spikevision.jobs.checkpointing import AtomicCheckpointHook
from spikevision.jobs.finite_check import FiniteCheckHook, NonFiniteError
from spikevision.jobs.hooks import RecordHook, ResumeStateHook, StopHook
from spikevision.jobs.layer_decay import LayerDecay
from spikevision.jobs.loops import ResumableEpochLoop
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.jobs.unroll import UnrollHook

__all__ = [
    "AtomicCheckpointHook",
    "FiniteCheckHook",
    "NonFiniteError",
    "LayerDecay",
    "RecordHook",
    "ResumableEpochLoop",
    "ResumeStateHook",
    "RunResult",
    "RunSpec",
    "StopHook",
    "UnrollHook",
]
