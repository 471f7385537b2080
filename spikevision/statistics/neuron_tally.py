"""Running sums of one neuron layer, kept on its device until they are read."""

from __future__ import annotations

from torch import Tensor

from spikevision.ops.counting import SpikeCounts, channel_axis
from spikevision.statistics.record import Entry
from spikevision.statistics.tensor_summary import Kind, SummaryCache, TensorSummary

__all__ = ["NeuronTally"]


class NeuronTally:
    """Counts the spikes of one neuron layer at each step and channel.

    The channel is the third axis, as in ``[T, N, C, H, W]`` or, for the head M, ``[T, N, M, D, L]``; of four axes
    ``[T, N, L, C]`` it is the last. Key of the sums: image size, T, C (one neuron may serve layers of several widths).
    """

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self._spikes: dict[tuple[str, int, int], Tensor] = {}
        self._elements: dict[tuple[str, int, int], int] = {}

    def add(
        self,
        spikes: Tensor,
        *,
        size: str,
        cache: SummaryCache | None,
        binary: bool,
        counts: SpikeCounts | None = None,
    ) -> None:
        """Count one output.

        Args:
            spikes: ``[T, N, ...]``, not empty.
            size: Size of the images.
            cache: Keeps what was read for the layers behind; None where nobody counts these.
            binary: Whether the spikes are known to be 0 and 1; else every value is checked.
            counts: What the neuron counted while it fired, if it did.
        """
        time_steps = spikes.shape[0]
        channels = channels_of(spikes)
        key = (size, time_steps, channels)
        self._elements[key] = self._elements.get(key, 0) + spikes.numel() // time_steps
        if self.kind is Kind.REAL:
            return
        tokens = spikes.dim() in (3, 4)
        folded = spikes.flatten(0, 1)
        read = cache.summarise if cache else TensorSummary
        summary = read(
            folded if spikes.dim() > 2 else folded[:, None],
            time_steps=time_steps,
            channels_last=tokens,
            binary=binary,
            counts=counts,
        )
        self.kind = summary.kind if self.kind is None else max(self.kind, summary.kind)
        if summary.per_channel is not None:
            known = self._spikes.get(key)
            self._spikes[key] = (
                summary.per_channel if known is None else known + summary.per_channel
            )

    def move_to(self, entry: Entry) -> None:
        """Add all counts to an entry and begin again from zero; the kind is remembered."""
        kind = self.kind or Kind.BINARY
        for key, elements in self._elements.items():
            size, time_steps, _ = key
            counts = {"elements": [elements] * time_steps}
            if kind is not Kind.REAL:
                spikes = self._spikes[key]
                counts["spikes"] = [int(value) for value in spikes.sum(1).tolist()]
                entry.add_channels([int(value) for value in spikes.sum(0).tolist()])
            entry.add(size, kind, counts)
        self._spikes.clear()
        self._elements.clear()


def channels_of(spikes: Tensor) -> int:
    """Number of channels of an output ``[T, N, ...]``."""
    axis = channel_axis(spikes)
    return 1 if axis is None else spikes.shape[axis]
