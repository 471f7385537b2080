"""Binary spikes that stand for whole numbers: each number S of 0..D is S spikes in D slots.

A time step of an integer neuron becomes D slots, slot outermost: slot s of step t lies at index ``s * T + t``. What an
operation of the network means for slots is written here once, in ``RULES``; an operation that has no rule is an error,
so that nothing is computed wrongly without notice.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_map_only

from spikevision.ops.memory import check_memory

__all__ = ["SpikeSlots", "count_slots", "encode_slots", "total"]


class SpikeSlots(Tensor):
    """Zeros and ones ``[S * T, ...]`` that stand for the whole numbers ``[T, ...]`` which they sum to over S slots.

    ``detach()`` gives the zeros and ones as an ordinary tensor, :func:`total` the numbers.

    Attributes:
        slots: Number of slots S.
        divisor: What the sum is divided by: 1, or D where the neuron hands on ``S / D``.
        ordered: Whether a spike in one slot implies one in all slots before, so that the largest number has the
            largest spike in every slot.
    """

    slots: int
    divisor: int
    ordered: bool

    def parts(self) -> tuple[Tensor, ...]:
        """The spikes of each slot, ``[T, ...]``, as ordinary tensors."""
        return _by_slot(self).unbind(0)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        rule, name = RULES.get(func), getattr(func, "__name__", func)
        if rule is not None:
            return rule(func, *args, **(kwargs or {}))
        if name == "__get__":  # shape, dtype, device ..., but no view such as x.T
            value = _raw(func, *args)
            if not isinstance(value, Tensor):
                return value
        raise ValueError(
            f"spikes in slots met {name!r}, which has no rule for them: put a neuron or a weight layer between; to look "
            "at the spikes take x.detach(), for the numbers that they stand for spikevision.ops.total(x)"
        )


def encode_slots(counts: Tensor, levels: int, *, normalised: bool = False) -> SpikeSlots:
    """Spread whole numbers over slots: a number S fires in the first S of D slots.

    Args:
        counts: Whole numbers 0 to ``levels``, ``[T, ...]``, floating point.
        levels: Number of slots D.
        normalised: Whether the spikes stand for ``S / D`` instead of S.

    Raises:
        ValueError: If the slots do not fit into memory.
    """
    _check_memory(levels, counts)
    slots = torch.arange(levels, device=counts.device).view(-1, *[1] * counts.dim())
    spikes = (counts.detach() > slots).to(counts.dtype).flatten(0, 1)
    return _slots(spikes, levels, levels if normalised else 1, ordered=True)


def total(x: Tensor) -> Tensor:
    """The numbers ``[T, ...]`` that spikes in slots stand for; any other tensor as it is."""
    return _by_slot(x).sum(0) / x.divisor if isinstance(x, SpikeSlots) else x


def count_slots(x: Tensor) -> int:
    """Number of slots that one time step of ``x`` has, 1 for an ordinary tensor."""
    return x.slots if isinstance(x, SpikeSlots) else 1


def _check_memory(slots: int, step: Tensor) -> None:
    """Refuse spikes of a number of slots, each like ``step`` ``[T, ...]``, that do not fit into memory."""
    time_steps, *shape = step.shape
    check_memory(
        slots * step.numel() * (step.element_size() + 1),  # and one byte of comparison
        step.device,
        f"{slots} slots of spikes for each of {time_steps} time steps, {slots * time_steps} steps of {tuple(shape)},",
    )


def _slots(spikes: Tensor, slots: int, divisor: int, *, ordered: bool) -> SpikeSlots:
    result = spikes.as_subclass(SpikeSlots)
    result.slots, result.divisor, result.ordered = slots, divisor, ordered
    return result


def _raw(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Look at the zeros and ones themselves."""
    with torch._C.DisableTorchFunctionSubclass():
        args, kwargs = tree_map_only(
            SpikeSlots, lambda x: x.as_subclass(Tensor), (list(args), kwargs)
        )
    return func(*args, **kwargs)


def _by_slot(x: SpikeSlots) -> Tensor:
    spikes: Tensor = _raw(Tensor.detach, x)
    return spikes.unflatten(0, (x.slots, len(spikes) // x.slots))


def _each_slot(func: Callable[..., Any], x: SpikeSlots, *args: Any, **kwargs: Any) -> SpikeSlots:
    """Views and copies that leave the slots outermost."""
    return _slots(_raw(func, x, *args, **kwargs), x.slots, x.divisor, ordered=x.ordered)


def _on_totals(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Averages, sums, resizing and concatenation act on the numbers."""
    args, kwargs = tree_map_only(SpikeSlots, total, (list(args), kwargs))
    return func(*args, **kwargs)


def _look_or_total(func: Callable[..., Any], x: SpikeSlots, *args: Any, **kwargs: Any) -> Any:
    """Without axes it looks at the spikes, over axes it reduces the numbers."""
    return (_on_totals if args or kwargs else _raw)(func, x, *args, **kwargs)


def _weigh(
    func: Callable[..., Any],
    x: SpikeSlots,
    weight: Tensor,
    bias: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Convolutions and linear layers add up the slots one by one; the bias is added once, with the first."""
    weight = weight if x.divisor == 1 else weight / x.divisor
    first, *rest = x.parts()
    y = func(first, weight, bias, *args, **kwargs)
    for part in rest:
        y = y + func(part, weight, None, *args, **kwargs)
    return y


def _matmul(func: Callable[..., Any], a: Tensor, b: Tensor) -> Tensor:
    """``(sum of a's slots) @ (sum of b's slots)``, every product with one binary operand.

    A spike of ``a`` adds a row of what ``b`` has fired up to now, a spike of ``b`` one of what ``a`` has fired before:
    two running sums of the size of one slot are kept besides the result. An ordinary operand stands still.
    """
    if not (isinstance(a, SpikeSlots) and isinstance(b, SpikeSlots)):
        still_a, still_b = (None if isinstance(x, SpikeSlots) else x for x in (a, b))
        spikes = a if isinstance(a, SpikeSlots) else b
        assert isinstance(spikes, SpikeSlots)
        products = [
            func(part, still_b) if still_a is None else func(still_a, part)
            for part in spikes.parts()
        ]
        return sum(products[1:], products[0]) / spikes.divisor
    fired_a = fired_b = result = torch.zeros((), dtype=a.dtype, device=a.device)
    for spikes_a, spikes_b in zip_longest(a.parts(), b.parts()):
        if spikes_b is not None:
            fired_b = fired_b + spikes_b
        if spikes_a is not None:
            result = result + func(spikes_a, fired_b)
        if spikes_b is not None and fired_a.dim():
            result = result + func(fired_a, spikes_b)
        if spikes_a is not None:
            fired_a = fired_a + spikes_a
    return result / (a.divisor * b.divisor)


def _mul(func: Callable[..., Any], a: Any, b: Any) -> Tensor:
    """A spike in each slot of ``a`` and each of ``b`` where both fire (AND); numbers with anything else."""
    if not (isinstance(a, SpikeSlots) and isinstance(b, SpikeSlots)):
        return _on_totals(func, a, b)
    _check_memory(a.slots * b.slots, torch.broadcast_tensors(a.parts()[0], b.parts()[0])[0])
    both = _by_slot(a).unsqueeze(1) * _by_slot(b)
    return _slots(both.flatten(0, 2), a.slots * b.slots, a.divisor * b.divisor, ordered=False)


def _add(func: Callable[..., Any], a: Any, b: Any) -> Tensor:
    """The sum of two spike trains is both of them, in slots one after the other; of anything else that of numbers."""
    if isinstance(a, SpikeSlots) and isinstance(b, SpikeSlots) and a.divisor == b.divisor:
        _check_memory(a.slots + b.slots, a.parts()[0])
        spikes = torch.cat([_raw(Tensor.detach, a), _raw(Tensor.detach, b)])
        return _slots(spikes, a.slots + b.slots, a.divisor, ordered=False)
    return _on_totals(func, a, b)


def _max_pool(func: Callable[..., Any], x: SpikeSlots, *args: Any, **kwargs: Any) -> SpikeSlots:
    """In each slot, which is right where a larger number has every spike of a smaller one."""
    if not x.ordered:
        raise ValueError(
            "max-pooling of sums or products of spikes has no spike form: pool the output of a neuron"
        )
    return _each_slot(func, x, *args, **kwargs)


def _dropout(
    func: Callable[..., Any],
    x: SpikeSlots,
    p: float = 0.5,
    training: bool = True,
    *_: Any,
    **__: Any,
) -> SpikeSlots:
    if training:
        raise ValueError("spikes in slots are for inference: call model.eval()")
    return x


def _methods(*names: str) -> list[Callable[..., Any]]:
    found = [getattr(home, name, None) for home in (Tensor, torch) for name in names]
    return [function for function in found if function is not None]


_LOOK = (
    "all any allclose bool count_nonzero cpu detach dim element_size eq equal ge get_device gt is_contiguous "
    "is_floating_point isfinite isin isnan item le lt max min ne nelement numel numpy size storage_offset stride tolist "
    "unique __len__ __repr__ __format__ __bool__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__"
)
_VIEWS = "bfloat16 clone contiguous double flatten float half reshape to unflatten view"
_WEIGHTS = (
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
    functional.linear,
)
RULES: dict[Callable[..., Any], Callable[..., Any]] = {
    **dict.fromkeys(_methods(*_LOOK.split()), _raw),
    **dict.fromkeys(_methods(*_VIEWS.split()), _each_slot),
    Tensor.data.__get__: _raw,  # type: ignore[attr-defined]
    Tensor.mT.__get__: _each_slot,  # type: ignore[attr-defined]
    **dict.fromkeys(_WEIGHTS, _weigh),
    **dict.fromkeys(_methods("matmul", "__matmul__"), _matmul),
    **dict.fromkeys(_methods("mul", "__mul__", "__rmul__"), _mul),
    **dict.fromkeys(_methods("add", "__add__", "__radd__"), _add),
    **dict.fromkeys(_methods("mean", "sum"), _look_or_total),
    **dict.fromkeys(
        (
            *_methods("cat"),
            functional.interpolate,
            functional.adaptive_avg_pool2d,
            torch._C._nn.avg_pool2d,
        ),
        _on_totals,
    ),
    functional.max_pool2d: _max_pool,
    functional.dropout: _dropout,
    functional.dropout2d: _dropout,
}
"""What each operation means for spikes in slots: ``rule(operation, *arguments)``."""
