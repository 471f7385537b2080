"""Is a network spike-driven? What each weight layer really received, and why some received no spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from spikevision.layers import DepthwiseSeparableBN, RepConvBN, SpikingResidual, fuse_
from spikevision.neurons import unroll_
from spikevision.statistics.record import Entry, Record
from spikevision.statistics.recorder import SpikeRecorder
from spikevision.statistics.self_counting import SelfCounting
from spikevision.statistics.tensor_summary import Kind

__all__ = ["Finding", "audit", "audit_calls", "breaks_rule"]

REP_CONV = (
    "inside a RepConv that is not fused, behind its first convolution: fuse_(model, RepConvBN)"
)
SEP_CONV = (
    "second convolution of a SepConv tail that is not fused: fuse_(model, DepthwiseSeparableBN)"
)
FIRST = "first layer: it encodes the input, which is no spikes"
SEW = "receives sums of spikes (SEW shortcut)"
INTEGERS = "receives small integers; those of integer neurons become spikes by unroll_(model)"
GRADED = "receives graded spikes of a converted network, each as many unit events as it has quanta"
CLASSIFIER = "classifier without a neuron before it: it receives real values"
REAL = "receives real values: there is no neuron directly before it"
SILENT = "received no spike at all, so nothing can be said: use other images or trained weights"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one weight layer received.

    Args:
        layer: Name of the layer; of a product of attention with its formula.
        type: Its class.
        role: ``first``, ``layer``, ``product`` or ``classifier``.
        input: ``binary``, ``integer``, ``real``, or ``silent`` where only zeros came.
        reason: Why it is not driven by spikes; empty where it is.
    """

    layer: str
    type: str
    role: str
    input: str
    reason: str = ""

    @property
    def breaks_rule(self) -> bool:
        """Whether something else than spikes drives it; the layer that encodes the image may do that."""
        return self.input in ("integer", "real") and self.role != "first"


def audit(model: nn.Module, record: Record) -> list[Finding]:
    """What each weight layer and product of attention received, in order of execution.

    Args:
        model: The model that was recorded.
        record: Its record, with operations.

    Raises:
        ValueError: If the record is empty or holds no operations.
    """
    if not record.operations or not record.layers:
        raise ValueError("an audit needs a record of synaptic operations")
    return [_finding(model, name, entry) for name, entry in record.layers.items()]


def audit_calls(
    model: nn.Module, run: Callable[[], object], *, fused: bool = False, unrolled: bool = False
) -> list[Finding]:
    """Audit a model on the calls of it that ``run`` makes.

    Args:
        model: Model in eval mode.
        run: Calls the model on some images.
        fused: Whether to fuse all that can be fused first, in place, as for deployment.
        unrolled: Whether to unroll integer neurons first, in place, which fuses as well.

    Raises:
        ValueError: If ``fused`` and nothing is there to fuse, if ``unrolled`` and it cannot be unrolled, or if ``run`` does not call the model.
    """
    if unrolled:
        unroll_(model)
    elif fused:
        fuse_(model)
    with SpikeRecorder(model) as recorder, torch.no_grad():
        run()
    return audit(model, recorder.record)


def breaks_rule(findings: list[Finding]) -> bool:
    """Whether the network is not spike-driven, the layer that encodes the image aside."""
    return any(finding.breaks_rule for finding in findings)


def _finding(model: nn.Module, name: str, entry: Entry) -> Finding:
    silent = entry.kind is Kind.BINARY and entry.total("spikes") == 0
    return Finding(
        layer=name,
        type=entry.about["type"],
        role=entry.about["role"],
        input="silent" if silent else entry.kind.name.lower(),
        reason=SILENT if silent else _reason(model, name, entry),
    )


def _reason(model: nn.Module, name: str, entry: Entry) -> str:
    if entry.kind is Kind.BINARY:
        return ""
    if entry.about["role"] == "first":
        return FIRST
    if entry.kind is Kind.INTEGER and entry.about.get("graded"):
        return GRADED
    around = _ancestors(model, name)
    if entry.kind is Kind.INTEGER:
        adds_spikes = any(
            isinstance(m, SpikingResidual) and m.shortcut == "sew" for m in model.modules()
        )
        return SEW if adds_spikes else INTEGERS
    if any(isinstance(module, RepConvBN) for module in around):
        return REP_CONV
    if any(isinstance(module, DepthwiseSeparableBN) for module in around):
        return SEP_CONV
    return CLASSIFIER if entry.about["role"] == "classifier" else REAL


def _ancestors(model: nn.Module, name: str) -> list[nn.Module]:
    """Modules around a layer; none where a network that counts itself has named it."""
    if isinstance(model, SelfCounting):
        return []
    parts = name.split("[")[0].split(".")
    return [model.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts))]
