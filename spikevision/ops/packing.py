"""What is kept for the backward pass in place of tensors: spikes as bits, normalised values as what they come from.

A neuron marks the memory of its spikes with :func:`mark_spikes`, a normalisation that of its result with
:func:`mark_remade`. A layer that they enter runs under :func:`spikes_saved_as_bits`, where autograd keeps marked spikes
in one thirty-second of their memory in float32, sums of spikes in a quarter of it, makes normalised values again, and
keeps all others as they are.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from spikevision.ops.bits import pack_bits, unpack_bits

__all__ = [
    "add_spikes",
    "mark_computed",
    "mark_like",
    "mark_remade",
    "mark_spikes",
    "pack",
    "saved_by_others",
    "spikes_saved_as_bits",
    "takes_spikes",
    "unpack",
]

LARGEST_BYTE = 255

Forward = TypeVar("Forward", bound=Callable[..., Any])


@dataclass
class _Mark:
    """What is known of a storage: whole numbers from 0 to ``largest``, or values that ``source`` makes again."""

    version: int
    largest: int = 1
    kept: Tensor | _Source | None = None


@dataclass(frozen=True)
class _Source:
    """A tensor of which another of the same form is made again, ``make(tensor, into)``."""

    tensor: Tensor
    version: int
    make: Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class _Packed:
    """A saved tensor whose storage is kept as bits or bytes, or made again."""

    kept: Tensor | _Source
    largest: int
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


def mark_spikes(spikes: Tensor, *, largest: int = 1) -> Tensor:
    """Say that a tensor holds nothing but 0 and 1, or whole numbers from 0 to ``largest``, and return it.

    All views of it count as marked, until something is written into its memory. Numbers that no byte holds are not
    marked.
    """
    if largest <= LARGEST_BYTE:
        _mark(spikes, _Mark(spikes._version, largest))
    return spikes


def mark_like(result: Tensor, spikes: Tensor) -> Tensor:
    """Say that a tensor holds some of the values of another one, which may be marked, and return it."""
    largest = _largest(spikes)
    return result if largest is None else mark_spikes(result, largest=largest)


def add_spikes(x: Tensor, y: Tensor) -> Tensor:
    """``x + y``; where both are marked, their sum holds whole numbers as well and is marked."""
    result, one, other = x + y, _largest(x), _largest(y)
    return result if one is None or other is None else mark_spikes(result, largest=one + other)


def _largest(spikes: Tensor) -> int | None:
    """Largest number that a marked tensor may hold, None where it is not marked or nothing is saved."""
    if not torch.is_grad_enabled() or _is_traced():
        return None
    mark = _mark_of(spikes)
    return None if mark is None or isinstance(mark.kept, _Source) else mark.largest


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def mark_remade(result: Tensor, source: Tensor, make: Callable[[Tensor, Tensor], None]) -> None:
    """Say that ``make(source, into)`` writes a tensor's values again into another one of its memory layout.

    Of use where ``source`` is kept for the backward pass anyway.
    """
    kept = source.detach()
    _mark(result, _Mark(result._version, kept=_Source(kept, kept._version, make)))


def mark_computed(result: Tensor, x: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Say that ``compute(x)`` gives a tensor of the layout of ``x`` again, if ``x`` itself is made again; return it."""
    mark = None if _is_traced() else _mark_of(x)
    if mark is None or not isinstance(mark.kept, _Source):
        return result
    source = mark.kept

    def make(kept: Tensor, into: Tensor) -> None:
        source.make(kept, into)
        with torch.no_grad():
            into.copy_(compute(into))

    mark_remade(result, source.tensor, make)
    return result


def _mark(tensor: Tensor, mark: _Mark) -> None:
    storage = tensor.untyped_storage()
    if storage.nbytes() == tensor.numel() * tensor.itemsize:
        _marks[storage] = mark


def _mark_of(tensor: Tensor) -> _Mark | None:
    """The mark of a tensor's memory, if nothing was written into it since."""
    if type(tensor) is not Tensor or tensor.layout != torch.strided:
        return None
    mark = _marks.get(tensor.untyped_storage())
    return mark if mark is not None and mark.version == tensor._version else None


def spikes_saved_as_bits() -> AbstractContextManager[Any]:
    """Within it autograd saves marked spikes as bits; gradients stay equal to the bit."""
    if not torch.is_grad_enabled() or _outer.counts or _is_traced():
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


def pack(tensor: Tensor) -> Tensor | _Packed:
    """What autograd keeps in place of a tensor: marked ones as bits or bytes or not at all, all else as it is."""
    mark = _mark_of(tensor)
    if mark is None:
        return tensor
    elements = tensor.untyped_storage().nbytes() // tensor.itemsize
    if mark.kept is None:
        flat = tensor.detach().as_strided((elements,), (1,), 0)
        mark.kept = pack_bits(flat) if mark.largest == 1 else flat.to(torch.uint8)
    return _Packed(
        mark.kept,
        mark.largest,
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
    elif saved.largest == 1:
        flat = unpack_bits(saved.kept, saved.elements, saved.dtype)
    else:
        flat = saved.kept.to(saved.dtype)
    return flat.as_strided(saved.size, saved.stride, saved.offset)


def _made_again(source: _Source) -> Tensor:
    if source.tensor._version != source.version:
        raise RuntimeError(
            "a tensor that the backward pass needs was changed in place: the input of a normalisation"
        )
    into = torch.empty_like(source.tensor)
    source.make(source.tensor, into)
    return into.as_strided((into.numel(),), (1,), 0)
