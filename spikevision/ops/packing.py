"""What is kept for the backward pass in place of tensors: spikes as bits, normalised values as what they come from.

A neuron marks the memory of its spikes with :func:`mark_spikes`, a normalisation that of its result with
:func:`mark_remade`. A layer that they enter runs under :func:`spikes_saved_as_bits`, where autograd keeps marked spikes
in one thirty-second of their memory in float32, makes normalised values again, and keeps all others as they are.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "mark_remade",
    "mark_spikes",
    "pack",
    "pack_bits",
    "saved_by_others",
    "spikes_saved_as_bits",
    "takes_spikes",
    "unpack",
    "unpack_bits",
]

Forward = TypeVar("Forward", bound=Callable[..., Any])


@dataclass
class _Mark:
    """What is known of a storage that holds spikes."""

    version: int
    bits: Tensor | None = None
    source: _Source | None = None


@dataclass(frozen=True)
class _Source:
    """A tensor of which another of the same form is made again, ``make(tensor, into)``."""

    tensor: Tensor
    version: int
    make: Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class _Packed:
    """A saved tensor whose storage is kept as bits, or made again."""

    kept: Tensor | _Source
    dtype: torch.dtype
    size: torch.Size
    stride: tuple[int, ...]
    offset: int
    elements: int

    @property
    def memory(self) -> Tensor:
        """The tensor that is kept in its place."""
        return self.kept.tensor if isinstance(self.kept, _Source) else self.kept


# A storage's Python object lives as long as any tensor on it, so a mark goes when the spikes go.
_marks: WeakKeyDictionary[torch.UntypedStorage, _Mark] = WeakKeyDictionary()


class _Outer(threading.local):
    """Whether hooks that are not ours decide what is kept, in this thread."""

    counts = False


_outer = _Outer()


def mark_spikes(spikes: Tensor) -> Tensor:
    """Say that a tensor holds nothing but 0 and 1, and return it.

    All views of it count as marked, until something is written into its memory.
    """
    storage = spikes.untyped_storage()
    if storage.nbytes() == spikes.numel() * spikes.itemsize:
        _marks[storage] = _Mark(spikes._version)
    return spikes


def mark_remade(result: Tensor, source: Tensor, make: Callable[[Tensor, Tensor], None]) -> None:
    """Say that ``make(source, into)`` writes a tensor's values again into another one of its memory layout.

    Of use where ``source`` is kept for the backward pass anyway.
    """
    storage = result.untyped_storage()
    if storage.nbytes() == result.numel() * result.itemsize:
        kept = source.detach()
        _marks[storage] = _Mark(result._version, source=_Source(kept, kept._version, make))


def spikes_saved_as_bits() -> AbstractContextManager[Any]:
    """Within it autograd saves marked spikes as bits; gradients stay equal to the bit."""
    if (
        not torch.is_grad_enabled()
        or _outer.counts
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
    ):
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


@contextmanager
def saved_by_others() -> Iterator[None]:
    """Within it nothing is packed: hooks around it, such as those of gradient checkpointing, see every tensor."""
    before, _outer.counts = _outer.counts, True
    try:
        yield
    finally:
        _outer.counts = before


def takes_spikes(forward: Forward) -> Forward:
    """Decorate the ``forward`` of a layer that spikes enter, see :func:`spikes_saved_as_bits`."""

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        with spikes_saved_as_bits():
            return forward(*args, **kwargs)

    return run  # type: ignore[return-value]


def pack_bits(flat: Tensor) -> Tensor:
    """Pack ``[M]`` zeros and ones of any dtype into ``[ceil(M / 8)]`` bytes, first bit highest."""
    if flat.device.type == "cpu":
        source = flat if flat.dtype != torch.bfloat16 else flat.view(torch.int16)
        return torch.from_numpy(np.packbits(source.numpy() != 0))
    return _pack_bits_anywhere(flat)


def _pack_bits_anywhere(flat: Tensor) -> Tensor:
    """Twin of :func:`pack_bits` for any device, ten times slower on a CPU."""
    padded = torch.nn.functional.pad(flat != 0, (0, -len(flat) % 8)).view(-1, 8)
    return (padded * _weights(flat.device)).sum(1, dtype=torch.uint8)


def unpack_bits(bits: Tensor, elements: int, dtype: torch.dtype) -> Tensor:
    """Inverse of :func:`pack_bits`: ``[elements]`` zeros and ones."""
    if bits.device.type == "cpu":
        return torch.from_numpy(np.unpackbits(bits.numpy(), count=elements)).to(dtype)
    return _unpack_bits_anywhere(bits, elements, dtype)


def _unpack_bits_anywhere(bits: Tensor, elements: int, dtype: torch.dtype) -> Tensor:
    spread = bits.unsqueeze(1).bitwise_and(_weights(bits.device)) != 0
    return spread.flatten()[:elements].to(dtype)


def _weights(device: torch.device) -> Tensor:
    return torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=device)


def pack(tensor: Tensor) -> Tensor | _Packed:
    """What autograd keeps in place of a tensor: marked ones as bits or not at all, all else as it is."""
    storage = tensor.untyped_storage()
    mark = _marks.get(storage)
    if mark is None or mark.version != tensor._version:
        return tensor
    elements = storage.nbytes() // tensor.itemsize
    if mark.source is None and mark.bits is None:
        mark.bits = pack_bits(tensor.detach().as_strided((elements,), (1,), 0))
    kept = mark.bits if mark.source is None else mark.source
    assert kept is not None
    return _Packed(
        kept,
        tensor.dtype,
        tensor.shape,
        tensor.stride(),
        int(tensor.storage_offset()),
        elements,
    )


def unpack(saved: Tensor | _Packed) -> Tensor:
    """Inverse of :func:`pack`."""
    if isinstance(saved, Tensor):
        return saved
    if isinstance(saved.kept, _Source):
        flat = _made_again(saved.kept)
    else:
        flat = unpack_bits(saved.kept, saved.elements, saved.dtype)
    return flat.as_strided(saved.size, saved.stride, saved.offset)


def _made_again(source: _Source) -> Tensor:
    if source.tensor._version != source.version:
        raise RuntimeError(
            "a tensor that the backward pass needs was changed in place: the input of a normalisation"
        )
    into = torch.empty_like(source.tensor)
    source.make(source.tensor, into)
    return into.as_strided((into.numel(),), (1,), 0)
