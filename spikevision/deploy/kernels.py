"""Which kernel runs each convolution of a deployed network: measured on the inputs that it really gets."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from spikevision.deploy.int8 import Int8Conv2d, VnniConv2d, dequantised
from spikevision.ops import native
from spikevision.ops.event_conv import event_conv2d, pack_bias, pack_weight

__all__ = ["KERNELS", "KernelChoice", "choose_kernels", "fastest_ms", "inputs_of"]

ROUNDS = 5
ENOUGH_S = 1.0  # of measuring one thing
MOST_EVENTS = 0.5  # firing rate above which skipping zeros is not even tried
LARGEST_COUNT = 64  # in the sample; the eight-bit kernel takes twice as much


def _dense(conv: nn.Module) -> nn.Module:
    return dequantised(conv) if isinstance(conv, Int8Conv2d) else conv


class EventConv2d(nn.Module):
    """Twin of a convolution that skips the zeros of its input; without compiled kernels it is that convolution.

    Args:
        conv: A convolution that :func:`_events` takes.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.plain, self.channels = conv, conv.out_channels
        self.stride, self.padding = conv.stride[0], int(conv.padding[0])
        self.packed = pack_weight(conv.weight.detach())
        self.bias = pack_bias(conv.bias, conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C', H', W']``."""
        if not native.has_kernels(x):
            return cast(Tensor, self.plain(x))
        return event_conv2d(
            x, self.packed, self.bias, self.channels, stride=self.stride, padding=self.padding
        )


def _events(conv: nn.Module) -> nn.Module | None:
    dense = _dense(conv)
    assert isinstance(dense, nn.Conv2d)
    square = all(len(set(pair)) == 1 for pair in (dense.kernel_size, dense.stride, dense.padding))
    plain = dense.groups == 1 and set(dense.dilation) == {1} and dense.padding_mode == "zeros"
    return EventConv2d(dense) if square and plain else None


def _vnni(conv: nn.Module) -> nn.Module | None:
    return VnniConv2d(conv) if isinstance(conv, Int8Conv2d) and conv.groups == 1 else None


# name -> what makes the kernel from a convolution, or None where it does not serve it
KERNELS: dict[str, Callable[[nn.Module], nn.Module | None]] = {
    "dense": _dense,
    "events": _events,
    "vnni": _vnni,
}


@dataclass(frozen=True)
class KernelChoice:
    """The kernel of one convolution.

    Attributes:
        kernel: A name of :data:`KERNELS`.
        milliseconds: What each kernel took that was tried, on the sample.
        rate: Share of non-zero elements in the input; None where it is no spikes.
    """

    kernel: str
    milliseconds: dict[str, float]
    rate: float | None


def choose_kernels(core: nn.Module, run: Callable[[], object]) -> dict[str, KernelChoice]:
    """Time the kernels of every convolution; one shape and kind of input is timed once.

    Args:
        core: Network in eval mode; not changed.
        run: Calls it on a sample.
    """
    convs = {n: m for n, m in core.named_modules() if isinstance(m, (nn.Conv2d, Int8Conv2d))}
    choices, known = {}, {}
    for name, x in inputs_of(convs, run).items():
        rate = _spike_rate(x)
        conv = convs[name]
        key = (x.shape, conv.weight.shape, tuple(conv.stride), rate and round(rate, 2))
        if key not in known:
            known[key] = _choose(conv, x, rate)
        choices[name] = known[key]
    return choices


def inputs_of(modules: Mapping[str, nn.Module], run: Callable[[], object]) -> dict[str, Tensor]:
    """First input of each module while ``run`` calls them."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
            seen.setdefault(name, args[0])

        return keep

    handles = [module.register_forward_pre_hook(watch(name)) for name, module in modules.items()]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return seen


def fastest_ms(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Least time of a call in milliseconds, after one that is not counted; there are fewer rounds of long calls."""
    with torch.no_grad():
        run()
        times: list[float] = []
        while len(times) < rounds and sum(times) < ENOUGH_S:
            start_s = time.perf_counter()
            run()
            times.append(time.perf_counter() - start_s)
    return min(times) * 1e3


def _choose(conv: nn.Module, x: Tensor, rate: float | None) -> KernelChoice:
    candidates = {"dense": _dense(conv)}
    if rate is not None:
        sparse = rate <= MOST_EVENTS and native.has_kernels(x)
        made = {n: make(conv) for n, make in KERNELS.items() if n != "events" or sparse}
        candidates = {name: kernel for name, kernel in made.items() if kernel is not None}
    times = {name: round(fastest_ms(partial(kernel, x)), 4) for name, kernel in candidates.items()}
    return KernelChoice(min(times, key=times.__getitem__), times, rate)


def _spike_rate(x: Tensor) -> float | None:
    """Share of elements that are not 0 if all are small whole numbers, else None."""
    if x.min() < 0 or x.max() > LARGEST_COUNT or not bool((x == x.round()).all()):
        return None
    return float(x.count_nonzero() / x.numel())
