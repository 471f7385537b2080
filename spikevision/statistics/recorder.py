"""Forward hooks that count spikes and operations of a model, and leave nothing in it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.utils.hooks import RemovableHandle

from spikevision.layers import RepConvBN, SpikingResidual, TimeFolded
from spikevision.layers.attention import MaskedSpikingProduct, SpikingProduct
from spikevision.neurons import IF, LIF, ParametricLIF
from spikevision.neurons.base import SpikingNeuron
from spikevision.ops.counting import SpikeCounter
from spikevision.ops.firing import Firing
from spikevision.ops.slots import count_slots
from spikevision.statistics.neuron_tally import NeuronTally, channels_of
from spikevision.statistics.products import ProductCount, count_masked_product, count_product
from spikevision.statistics.record import Counts, Entry, Record
from spikevision.statistics.self_counting import OperationCounter, SelfCounting
from spikevision.statistics.synops import SYNAPTIC, fan_out, layer_macs, spike_operations
from spikevision.statistics.tensor_summary import Kind, SummaryCache

__all__ = ["SpikeRecorder"]

FOLDING = (TimeFolded, RepConvBN)  # take [T, N, ...] and show their layers [T N, ...]
FIRES_ONCE = (LIF, IF, ParametricLIF)  # at most once per step; a subclass may differ
NORMALISATION = (_NormBase, nn.LayerNorm, nn.GroupNorm)


class SpikeRecorder:
    """Counts what passes the neurons and synaptic layers of a model, while it is attached.

    Use it around calls of the model::

        with SpikeRecorder(model) as recorder:
            model(images)
        record = recorder.record

    A module that counts itself (:mod:`spikevision.statistics.self_counting`), such as a converted network, is asked
    and not watched. The record is complete after ``detach``. Only calls of the model itself are counted, not calls of its parts. The
    number of time steps of a layer is that of the folding block around it, else of the neuron that ran before it,
    else 1. What a tensor holds is seen from all its values; only the output of the neurons in ``FIRES_ONCE`` is not
    checked, as it is 0 or 1 by construction. LIF neurons count while they fire, where a kernel does that.

    Args:
        model: The module that will be called.
        operations: Whether to count operations of synaptic layers, or spikes of neurons alone (faster).
    """

    def __init__(self, model: nn.Module, *, operations: bool = True) -> None:
        self.model = model
        self.record = Record(operations=operations)
        self._handles: list[RemovableHandle] = []
        self._telling: list[SelfCounting] = []
        self._counting: list[tuple[SpikingNeuron, Firing | None]] = []
        self._counter = SpikeCounter(per_row=operations)
        self._cache = SummaryCache()
        self._reached: dict[tuple, Tensor | int] = {}
        self._classifiers = classifiers_of(model)
        self._tallies: dict[str, NeuronTally] = {}
        self._size: str | None = None  # None outside a call of the model
        self._images = 0
        self._folded: list[int] = []
        self._last_neuron: tuple[int, int] | None = None

    def attach(self) -> SpikeRecorder:
        """Start counting."""
        if self._handles:
            raise ValueError("this recorder is attached already; detach it first")
        self._handles.append(self.model.register_forward_pre_hook(self._begin, with_kwargs=True))
        told: tuple[str, ...] = ()
        for name, module in self.model.named_modules():
            if any(name.startswith(prefix) for prefix in told):
                continue
            if isinstance(module, SelfCounting):
                self._let_tell(name, module)
                told = (*told, f"{name}." if name else "")
            else:
                self._watch(name, module)
        self._handles.append(self.model.register_forward_hook(self._end))
        return self

    def detach(self) -> None:
        """Stop counting; the record stays."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for module in self._telling:
            module.operation_counter = None
        self._telling.clear()
        for neuron, before in self._counting:
            if neuron.firing is self._counter:  # another recorder may have come after
                neuron.firing = before
        self._counting.clear()
        self._end()
        for name, tally in self._tallies.items():
            tally.move_to(self.record.neurons[name])

    def __enter__(self) -> SpikeRecorder:
        return self.attach()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def _let_tell(self, name: str, module: SelfCounting) -> None:
        """Have a module tell its operations, until this recorder is detached."""
        prefix = f"{name}." if name else ""
        module.operation_counter = OperationCounter(
            self.record, prefix=prefix, call=lambda: (self._size, self._images)
        )
        self._telling.append(module)

    def _watch(self, name: str, module: nn.Module) -> None:
        if isinstance(module, SpikingNeuron):
            self._on_output(module, name, self._see_neuron)
            if type(module) in FIRES_ONCE:
                self._counting.append((module, module.firing))
                module.firing = self._counter
        elif not self.record.operations:
            return
        elif isinstance(module, SYNAPTIC):
            self._on_output(module, name, self._see_layer)
        elif isinstance(module, (SpikingProduct, MaskedSpikingProduct)):
            self._on_output(module, name, self._see_product)
        elif isinstance(module, NORMALISATION):
            self._on_output(module, "normalisation", self._see_elementwise)
        elif isinstance(module, SpikingResidual):
            self._on_output(module, "residual", self._see_elementwise)
        elif isinstance(module, FOLDING):
            self._handles.append(
                module.register_forward_pre_hook(lambda _, args: self._fold(args[0]))
            )
            self._handles.append(module.register_forward_hook(lambda *_: self._unfold()))

    def _on_output(self, module: nn.Module, name: str, see: Callable[..., None]) -> None:
        """Call ``see`` after each call of the module within a call of the model."""

        def hook(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
            if self._size is not None:
                with torch.no_grad():
                    see(name, module, (*args, *kwargs.values()), output)

        self._handles.append(module.register_forward_hook(hook, with_kwargs=True))

    # --- one call of the model

    def _begin(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        self._images, self._size = _images_of((*args, *kwargs.values()))
        self.record.images[self._size] = self.record.images.get(self._size, 0) + self._images
        self._folded.clear()
        self._last_neuron = None

    def _end(self, *_: Any) -> None:
        self._size = None
        self._cache.clear()

    def _fold(self, x: Tensor) -> None:
        self._folded.append(x.shape[0])

    def _unfold(self) -> None:
        if self._folded:
            self._folded.pop()

    def _time_steps(self, x: Tensor) -> int:
        if self._folded:
            return self._folded[-1]
        if self._last_neuron is not None:
            time_steps, batch = self._last_neuron
            if x.shape[0] == time_steps * batch or tuple(x.shape[:2]) == (time_steps, batch):
                return time_steps
        return 1

    # --- what the hooks see

    def _see_neuron(self, name: str, neuron: nn.Module, args: tuple, output: Any) -> None:
        spikes = output[0] if isinstance(output, tuple) else output
        counts, spikes = self._counter.counts_of(spikes), spikes.detach()
        time_steps, batch = spikes.shape[:2]
        self._last_neuron = (time_steps, batch)
        if spikes.numel() == 0:
            return
        if name not in self._tallies:
            about = {"type": type(neuron).__name__, "channels": channels_of(spikes)}
            self.record.neurons.setdefault(name, Entry(about=about))
            self._tallies[name] = NeuronTally()
        self._tallies[name].add(
            spikes,
            size=self._known_size(),
            cache=self._cache if self.record.operations else None,
            binary=type(neuron) in FIRES_ONCE,
            counts=counts,
        )

    def _see_layer(
        self, name: str, layer: _ConvNd | nn.Linear, args: tuple, output: Tensor
    ) -> None:
        slots = count_slots(args[0])  # a weight layer runs in each slot, its output is their sum
        x = args[0].detach()
        if x.numel() == 0:
            return
        time_steps = self._time_steps(x)
        entry = self._layer_entry(name, layer)
        macs = slots * layer_macs(layer, x[: len(x) // slots], output)
        counts = self._shape_counts(x.numel(), slots * output.numel(), macs, time_steps)
        kind = Kind.REAL
        if entry.kind is not Kind.REAL:
            reached: Tensor | int = 1
            if isinstance(layer, _ConvNd):
                x = x if x.dim() == len(layer.kernel_size) + 2 else x[None]
                reached = self._reach(layer, x, output)
            summary = self._cache.summarise(
                x, time_steps=time_steps, channels_last=isinstance(layer, nn.Linear)
            )
            kind = summary.kind
            if kind is not Kind.REAL:
                counts["spikes"] = summary.per_step()
                counts["synops"] = spike_operations(layer, summary, x, reached)
        entry.add(self._known_size(), kind, counts)

    def _see_product(self, name: str, product: nn.Module, args: tuple, output: Tensor) -> None:
        count = count_product if isinstance(product, SpikingProduct) else count_masked_product
        slots = count_slots(args[0])
        for part in count(*(x.detach() for x in args), slots=slots, cache=self._cache):
            self._add_product(f"{name}[{part.name}]", product, part, time_steps=args[0].shape[0])

    def _add_product(
        self, name: str, product: nn.Module, part: ProductCount, *, time_steps: int
    ) -> None:
        about = {"type": type(product).__name__, "role": "product", "weights": 0}
        entry = self.record.layers.setdefault(name, Entry(about=about))
        counts = self._shape_counts(part.inputs, part.outputs, part.macs, time_steps)
        if part.spikes is not None and part.synops is not None:
            counts.update(spikes=part.spikes, synops=part.synops)
        entry.add(self._known_size(), part.kind, counts)

    def _see_elementwise(
        self, quantity: str, module: nn.Module, args: tuple, output: Tensor
    ) -> None:
        x = args[0]
        time_steps = x.shape[0] if quantity == "residual" else self._time_steps(x)
        counts = self.record.elementwise.setdefault(self._known_size(), {})
        steps = counts.setdefault(quantity, [])
        steps.extend([0] * (time_steps - len(steps)))
        for step in range(time_steps):
            steps[step] += output.numel() // time_steps

    # --- helpers

    def _known_size(self) -> str:
        assert self._size is not None
        return self._size

    def _layer_entry(self, name: str, layer: _ConvNd | nn.Linear) -> Entry:
        if name not in self.record.layers:
            role = "classifier" if layer in self._classifiers else "layer"
            is_first = not any(
                entry.about["role"] == "first" for entry in self.record.layers.values()
            )
            about = {
                "type": type(layer).__name__,
                "role": "first" if is_first else role,
                "weights": layer.weight.numel(),
            }
            self.record.layers[name] = Entry(about=about)
        return self.record.layers[name]

    def _shape_counts(self, inputs: int, outputs: int, macs: int, time_steps: int) -> Counts:
        """The counts that follow from shapes: the same at every step."""
        values = {"inputs": inputs, "outputs": outputs, "macs": macs}
        counts = {key: [value // time_steps] * time_steps for key, value in values.items()}
        return {"runs": [self._images] * time_steps, **counts}

    def _reach(self, conv: _ConvNd, x: Tensor, output: Tensor) -> Tensor | int:
        dims = len(conv.kernel_size)
        key = (conv, x.shape[-dims:], output.shape[-dims:])
        if key not in self._reached:
            self._reached[key] = fan_out(conv, x.shape[-dims:], output.shape[-dims:])
        return self._reached[key]


def classifiers_of(model: nn.Module) -> set[nn.Module]:
    """Linear layers that give class scores: those of ``model.head``, else a linear layer that ends the model."""
    head = getattr(model, "head", None)
    if isinstance(head, nn.Module):
        return {module for module in head.modules() if isinstance(module, nn.Linear)}
    weights = [module for module in model.modules() if isinstance(module, SYNAPTIC)]
    return {weights[-1]} if weights and isinstance(weights[-1], nn.Linear) else set()


def _images_of(values: tuple) -> tuple[int, str]:
    """Number and ``HxW`` of the images among the arguments of a model."""
    for value in values:
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
            return len(value), _size_of(value[0])
        if isinstance(value, Tensor):
            return value.shape[0], _size_of(value)
    raise ValueError(
        "the recorded model was called without a tensor, so there are no images to count per"
    )


def _size_of(image: Tensor) -> str:
    return (
        "x".join(str(side) for side in image.shape[-2:])
        if image.dim() > 2
        else str(image.shape[-1])
    )
