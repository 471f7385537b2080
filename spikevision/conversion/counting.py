"""Operations of a converted network, told to a counter function by function at every step.

What is an operation: a graded spike of ``n`` quanta is ``n`` unit events, and each unit event is one accumulate for
every output value that it reaches. A layer whose input is no spikes costs its dense multiply-accumulates, at every
step, or once where its input is a direct current (the image). A product of two streams is estimated as
``A_t b_t + a_t B_{t-1}``, so it has two sides, each driven by the events of one factor; a side whose factor is no
spikes costs dense multiply-accumulates. Neurons that stand for a function add one accumulate per event; a function
that is computed exactly costs one multiply-accumulate per value and step. Scales that fold into the layer behind
them, masks and moves cost nothing.

Whoever counts hands in a counter; nothing here knows what it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from spikevision.conversion.affine import ELEMENTWISE, MOVES
from spikevision.conversion.stream import Current, Stream, map_tensors, tensors_in

if TYPE_CHECKING:
    from spikevision.conversion.simulation import Simulation
    from spikevision.conversion.site import Events, Site

__all__ = [
    "OperationCounter",
    "carry_events",
    "count_float_layer",
    "count_function",
    "count_neurons",
    "count_on_mean",
    "count_sum",
]

LAYER_NORM_MACS = (
    3  # per value and step: its square, and two sides of its product with the inverse root
)
COPIES = MOVES - {"batch_norm", "neg", "negative", "masked_fill", "dropout"}


class OperationCounter(Protocol):
    """Who is told."""

    def neurons(self, name: str, *, step: int, type: str, elements: int, events: Tensor) -> None:
        """Neurons have run: how many there are, and their unit events by channel ``[C]``."""

    def layer(self, name: str, *, step: int, about: dict[str, Any], counts: dict[str, int]) -> None:
        """A layer, product or operator has run.

        ``about`` has ``type``, ``role`` and the number of ``weights``; ``counts`` has ``inputs``, ``outputs``,
        ``macs`` (dense), ``ann_macs`` (what the ANN does here, told once) and, where unit events drive it, ``spikes``
        and ``synops``.
        """

    def values(self, quantity: str, *, step: int, number: int) -> None:
        """Elementwise work on so many values."""


def count_neurons(site: Site, tap: str, events: Events, *, operator: bool) -> None:
    """Tell what a population sent in this step."""
    counter = site.simulation.counter
    assert counter is not None
    by_value = events.by_value
    name = f"{site.name}_{tap}"
    elements = by_value.numel() * events.neurons_by_value
    kind = type(site.population(tap)).__name__
    counter.neurons(
        name, step=site.t, type=kind, elements=elements, events=by_value.double().sum((0, 2))
    )
    if operator:
        sent = int(by_value.double().sum())
        sizes = {"inputs": elements, "outputs": by_value.numel(), "macs": elements}
        counts = {**sizes, "spikes": sent, "synops": sent}
        _tell(site, f"{_short(site)}[{tap}]", "operator", counts, type_=kind)


def count_function(site: Site, name: str, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
    """Tell what one function call that went to a handler took."""
    tell = _activation if name == "module" else FUNCTIONS.get(name)
    if tell is not None:
        tell(site, args, kwargs, result)


def count_on_mean(site: Site, result: Any) -> None:
    """Tell of a function that was computed exactly on the mean."""
    _operator(site, sum(x.numel() for x in tensors_in(result)))


def count_sum(simulation: Simulation, name: str, streams: list[Stream], result: Any) -> None:
    """Tell of a residual addition of two streams, of which one changes at least."""
    varies = any(x.current is not Current.DIRECT for x in streams)
    if name in ("add", "sub") and len(streams) == 2 and varies and simulation.counter is not None:
        simulation.counter.values("residual", step=simulation.t, number=result.numel())


def count_float_layer(
    simulation: Simulation, name: str, module: nn.Module, args: tuple, output: Any
) -> None:
    """Tell of a layer inside a module that was left in floating point."""
    if not isinstance(module, (nn.Linear, _ConvNd)) or simulation.counter is None:
        return
    x, transposed = args[0], module.__class__.__name__.startswith("ConvTranspose")
    macs = (x if transposed else output).numel() * module.weight[0].numel()
    about = {"type": type(module).__name__, "role": "layer", "weights": module.weight.numel()}
    counts = {"inputs": x.numel(), "outputs": output.numel(), "macs": macs}
    counts["ann_macs"] = macs if simulation.t == 1 else 0
    simulation.counter.layer(name, step=simulation.t, about=about, counts=counts)


def carry_events(
    func: Callable, name: str, args: tuple, kwargs: dict[str, Any], result: Any
) -> None:
    """Let the unit events behind spikes go where a function that keeps spikes moves the values."""
    found = [x for x in tensors_in(result) if isinstance(x, Stream)]
    if not found or found[0].current is not Current.SPIKES:
        return
    sources = [x.events for x in tensors_in((args, kwargs)) if isinstance(x, Stream)]
    first = sources[0]
    if first is None or any(events is None for events in sources):
        return
    if name in COPIES:
        moved = func(*_events_of(args), **_events_of(kwargs))
        for stream, events in zip(found, tensors_in(moved), strict=True):
            stream.events = events
    elif name in ELEMENTWISE | {"add", "sub"} or name in MOVES:
        found[0].events = first.expand(found[0].shape)


def _events_of(value: Any) -> Any:
    return map_tensors(lambda x: x.events if isinstance(x, Stream) else x, value)


# --- weight layers


def _weight_layer(function: Callable, names: tuple[str, ...]) -> Callable:
    """Counts of a convolution or linear layer; ``names`` are its arguments behind the weight."""

    def tell(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
        x = args[0]
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        given = dict(zip(names, args[2:], strict=False)) | kwargs
        transposed = "transpose" in function.__name__
        macs = (x if transposed else result).numel() * weight[0].numel()

        def reach(events: Tensor) -> int:
            if function is F.linear:
                return int(events.double().sum()) * weight.shape[0]
            options = {k: v for k, v in given.items() if k not in ("weight", "bias", "groups")}
            per_position = events.double().sum(1, keepdim=True)
            ones = per_position.new_ones(1, 1, *weight.shape[2:])
            groups = given.get("groups", 1)
            width = weight.shape[1] if transposed else weight.shape[0] // groups
            return int(function(per_position, ones, **options).sum().round()) * width

        _driven(site, x, macs, result, reach, weights=weight.numel())

    return tell


def _driven(
    site: Site,
    x: Stream,
    macs: int,
    result: Tensor,
    reach: Callable[[Tensor], int],
    *,
    weights: int,
) -> None:
    """Tell of a layer that one stream drives."""
    if x.current is Current.DIRECT and site.t > 1:
        return  # computed once and kept
    events = _events_at(site, "input", x)
    counts = {"inputs": x.numel(), "outputs": result.numel(), "macs": macs}
    counts["ann_macs"] = macs if site.t == 1 else 0
    if events is not None:
        counts |= {"spikes": int(events.double().sum()), "synops": reach(events)}
    layer = isinstance(site.module, (nn.Linear, _ConvNd))
    name = site.name.rpartition(".")[0] if layer else _short(site)
    _tell(site, name, "layer", counts, weights=weights, type_=type(site.module).__name__)


def _events_at(site: Site, tap: str, x: Tensor) -> Tensor | None:
    """Unit events behind a factor: those that came with it, or of the encoder in front of it."""
    if isinstance(x, Stream) and x.current is Current.SPIKES:
        return x.events
    found = site.events_of(tap)
    return None if found is None else found.view(x.shape)


# --- products


class _Side(NamedTuple):
    """One factor of a product."""

    tap: str
    size: int
    varies: bool
    events: Tensor | None


def _side(site: Site, tap: str, x: Tensor) -> _Side:
    current = getattr(x, "current", Current.DIRECT)
    return _Side(tap, x.numel(), current is not Current.DIRECT, _events_at(site, tap, x))


def _product(site: Site, label: str, macs: int, outputs: int, *sides: _Side) -> None:
    """Tell of a product of streams, side by side; constant factors do nothing.

    Args:
        site: The call.
        label: What is multiplied.
        macs: Dense multiply-accumulates of one product.
        outputs: Values of the result.
        sides: Its factors.
    """
    varying = [side for side in sides if side.varies]
    for index, side in enumerate(varying):
        waits = (
            site.t == 1 and index > 0
        )  # what it is multiplied with is the sum before this step: 0
        counts = {"inputs": side.size, "outputs": outputs, "macs": 0 if waits else macs}
        counts["ann_macs"] = macs if site.t == 1 and index == 0 else 0
        if side.events is not None:
            sent = int(side.events.double().sum())
            synops = 0 if waits else sent * (macs // side.size)
            counts |= {"macs": macs, "spikes": sent, "synops": synops}
        ending = "" if len(varying) == 1 else f", {side.tap}"
        _tell(site, f"{_short(site)}[{label}{ending}]", "product", counts)


def _attention(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    names = ("query", "key", "value")
    q, k, v = (args[i] if len(args) > i else kwargs[name] for i, name in enumerate(names))
    logits = q.shape[:-1].numel() * k.shape[-2]
    sides = (_side(site, "query", q), _side(site, "key", k))
    _product(site, "q k^T", logits * q.shape[-1], logits, *sides)
    _operator(site, logits, "softmax")
    probability = _Side("probability", logits, True, site.events_of("probability"))
    macs = logits * v.shape[-1]
    _product(site, "p v", macs, result.numel(), probability, _side(site, "value", v))


def _matmul(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    a, b = args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()))
    macs = result.numel() * a.shape[-1]
    varying = [x for x in (a, b) if isinstance(x, Stream) and x.current is not Current.DIRECT]
    if len(varying) == 2:
        sides = (_side(site, "left", a), _side(site, "right", b))
        return _product(site, "a b", macs, result.numel(), *sides)
    x = (varying or [x for x in (a, b) if isinstance(x, Stream)])[0]
    other = b if x is a else a
    return _driven(
        site,
        x,
        macs,
        result,
        lambda events: int(events.double().sum()) * (macs // x.numel()),
        weights=other.numel(),
    )


def _rmatmul(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    _matmul(site, (args[1], args[0]), kwargs, result)


def _einsum(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    equation, *operands = args
    if isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    sizes: dict[str, int] = {}
    for letters, x in zip(
        equation.replace(" ", "").partition("->")[0].split(","), operands, strict=True
    ):
        if "." in letters:
            raise ValueError(f"{site.name}: operations of einsum with '...' cannot be counted")
        sizes |= dict(zip(letters, x.shape, strict=True))
    macs = math.prod(sizes.values())
    sides = [_side(site, f"factor{i}", x) for i, x in enumerate(operands)]
    _product(site, equation, macs, result.numel(), *sides)


def _times(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    a, b = args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()))
    if all(isinstance(x, Stream) and x.current is not Current.DIRECT for x in (a, b)):
        sides = (_side(site, "left", a), _side(site, "right", b))
        _product(site, "a * b", result.numel(), result.numel(), *sides)
    elif isinstance(result, Stream):
        carry_events(torch.mul, "mul", args, kwargs, result)


# --- operators


def _layer_norm(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    _operator(site, result.numel(), macs_per_value=LAYER_NORM_MACS)


def _activation(site: Site, args: tuple, kwargs: dict[str, Any], result: Tensor) -> None:
    """Its neurons have told their part; the ANN's is told here."""
    exact = site.config.operators == "exact"
    _operator(site, result.numel(), macs_per_value=1 if exact else 0)


def _on_mean(site: Site, args: tuple, kwargs: dict[str, Any], result: Any) -> None:
    count_on_mean(site, result)


def _operator(site: Site, values: int, label: str = "", *, macs_per_value: int = 1) -> None:
    """Tell of a function of so many values, computed in floating point on the means."""
    counts = {"inputs": values, "outputs": values, "macs": macs_per_value * values}
    counts["ann_macs"] = values if site.t == 1 else 0
    name = _short(site) + (f"[{label}]" if label else "")
    _tell(site, name, "operator", counts)


def _tell(
    site: Site,
    name: str,
    role: str,
    counts: dict[str, int],
    *,
    weights: int = 0,
    type_: str | None = None,
) -> None:
    assert site.simulation.counter is not None
    function = site.name.rpartition("spiking_")[2]
    about = {"type": type_ or function, "role": role, "weights": weights}
    site.simulation.counter.layer(name, step=site.t, about=about, counts=counts)


def _short(site: Site) -> str:
    return site.name.replace("spiking_", "")


SMOOTH = ("gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "hardswish")
EXACT = (
    *("softmax", "group_norm", "normalize", "max_pool1d", "max_pool2d", "max_pool3d"),
    *("leaky_relu", "elu", "celu", "selu", "relu6", "hardtanh", "hardsigmoid", "prelu"),
)
CONV = ("bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = ("bias", "stride", "padding", "output_padding", "groups", "dilation")
FUNCTIONS: dict[str, Callable] = {
    "linear": _weight_layer(F.linear, ("bias",)),
    **{f"conv{d}d": _weight_layer(getattr(F, f"conv{d}d"), CONV) for d in (1, 2, 3)},
    **{
        f"conv_transpose{d}d": _weight_layer(getattr(F, f"conv_transpose{d}d"), TRANSPOSED)
        for d in (1, 2, 3)
    },
    **dict.fromkeys(("matmul", "bmm", "mm"), _matmul),
    "rmatmul": _rmatmul,
    "einsum": _einsum,
    **dict.fromkeys(("mul", "multiply"), _times),
    "scaled_dot_product_attention": _attention,
    "layer_norm": _layer_norm,
    **dict.fromkeys(SMOOTH, _activation),
    **dict.fromkeys(EXACT, _on_mean),
}
