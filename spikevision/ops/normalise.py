"""Batch normalisation over rows of channels, alone or in one pass with the LIF neuron behind it, by C kernels.

Neither keeps what it normalised: the backward pass has the input, one vector per channel, and makes the rest again. The
twins are PyTorch's ``batch_norm`` and :func:`spikevision.ops.run_steps`; callers take them where :func:`fits` says no.

Source: Ioffe and Szegedy, Batch Normalization, arXiv:1502.03167.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikevision.ops import native
from spikevision.ops.dynamics import lif_step
from spikevision.ops.packing import mark_remade

__all__ = ["LIFSettings", "Norm", "batch_norm", "batch_norm_lif", "fits"]

LANES, MAX_STEPS, MAX_WIDTH = 16, 16, 8192  # as in the sources
ROW = 512  # elements that a row should have


class LIFSettings(ctypes.Structure):
    """The neuron of ``lif.c``."""

    _fields_ = [  # noqa: RUF012
        *((name, ctypes.c_float) for name in ("tau", "v_threshold", "v_reset", "alpha")),
        *((name, ctypes.c_int) for name in ("multiplies", "decay_input", "hard")),
    ]

    @classmethod
    def of(cls, step: Any, settings: dict[str, Any], *, trains: bool) -> LIFSettings | None:
        """The settings of a LIF step, or None for a neuron that the kernels do not know, forwards or in training."""
        known_gradient = settings.get("surrogate") == "sigmoid" and settings.get("detach_reset")
        if step is not lif_step or (trains and not known_gradient):
            return None
        tau, v_reset = settings["tau"], settings["v_reset"]
        return cls(
            tau=tau,
            v_threshold=settings["v_threshold"],
            v_reset=v_reset or 0.0,
            alpha=settings["alpha"],
            multiplies=tau.hex().startswith("0x1.0000000000000p"),  # a power of two
            decay_input=settings["decay_input"],
            hard=v_reset is not None,
        )


@dataclass(frozen=True)
class Norm:
    """One batch normalisation, or two in succession, of which the first is ``inner``.

    A second normalisation changes nothing but the scale: it sees a mean that is the first one's bias, and a variance
    that is the square of the first one's weight, but for ``eps``.
    """

    weight: Tensor
    bias: Tensor
    eps: float
    inner: Norm | None = None

    def parameters(self) -> tuple[Tensor, ...]:
        """The tensors of :class:`_Normalise` that train."""
        inner = () if self.inner is None else (self.inner.weight, self.inner.bias)
        return (self.weight, self.bias, *inner)


class _Scale(NamedTuple):
    """What multiplies ``x - mean`` per channel, and its derivatives."""

    value: Tensor
    by_variance: Tensor
    by_weights: tuple[Tensor, ...]


def _scale(norm: Norm, variance: Tensor) -> _Scale:
    weight = norm.weight.detach().double()
    if norm.inner is None:
        root = (variance + norm.eps).rsqrt()
        return _Scale(weight * root, -0.5 * weight * root**3, (root,))
    first, root = norm.inner.weight.detach().double(), (variance + norm.inner.eps).rsqrt()
    share = variance * root**2  # variance of what the first one gives, for a weight of 1
    second = (first.square() * share + norm.eps).rsqrt()
    value = first * root * second
    by_variance = -0.5 * value * (root**2 + (first * second * root**2) ** 2 * norm.inner.eps)
    return _Scale(
        weight * value, weight * by_variance, (value, weight * root * second**3 * norm.eps)
    )


def fits(x: Tensor, norm: Norm, time_steps: int | None = None) -> bool:
    """Whether the kernels can normalise ``x`` ``[B, C, H, W]``, with neurons over so many time steps behind it."""
    if x.dim() != 4 or not x.is_contiguous(memory_format=torch.channels_last):
        return False
    rows, width = _rows(x, time_steps or 1)
    return (
        rows * width > x.shape[1]
        and width <= MAX_WIDTH
        and (time_steps is None or (width % LANES == 0 and time_steps <= MAX_STEPS))
        and torch.is_grad_enabled()
        and native.has_kernels(x, *norm.parameters())
    )


def batch_norm(x: Tensor, norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise ``[B, C, H, W]`` by the statistics of the batch.

    Returns:
        What ``x`` becomes, and its mean and (biased) variance ``[C]``, which have no gradient.
    """
    return _Normalise.apply(x, norm, None, 1, *norm.parameters())


def batch_norm_lif(
    x: Tensor, norm: Norm, lif: LIFSettings, time_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`batch_norm`, for ``[T * N, C, H, W]``, and give the spikes of LIF neurons in its place."""
    return _Normalise.apply(x, norm, lif, time_steps, *norm.parameters())


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: Norm, lif: LIFSettings | None, steps: int, *parameters: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, width = _rows(x, steps)
        mean, variance = _moments(x)
        scale, center = _scale(norm, variance), mean.float()
        rounded = mean - center  # what the kernels' center lacks counts where the mean is large
        shift = norm.bias.detach() - rounded * scale.value
        vectors = [_repeat(v, width) for v in (center, scale.value, shift)]
        out = torch.empty_like(x)
        if lif is None:
            native.call("affine", x, *vectors, out, rows, width)
            mark_remade(
                out, x, lambda kept, made: native.call("affine", kept, *vectors, made, rows, width)
            )
        else:
            native.call("lif_forward", x, *vectors, out, lif, steps, rows, width)
        ctx.save_for_backward(x)
        ctx.lif, ctx.steps, ctx.scale, ctx.vectors, ctx.rounded = (
            lif,
            steps,
            scale,
            vectors,
            rounded,
        )
        mean, variance = mean.to(x.dtype), variance.to(x.dtype)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        rows, width = _rows(x, ctx.steps)
        center, scale, shift = ctx.vectors
        grad = grad.contiguous(memory_format=torch.channels_last)
        sums = torch.empty(torch.get_num_threads(), 2, width, dtype=torch.float64)
        if ctx.lif is None:
            grad_y, result = grad, torch.empty_like(x)
            native.call("gradient_sums", grad, x, center, sums, rows, width)
        else:
            grad_y = result = torch.empty_like(x)
            native.call(
                "lif_backward", grad, x, center, scale, shift, grad_y, sums,
                ctx.lif, ctx.steps, rows, width,
            )  # fmt: skip
        by_shift, by_scale = _per_channel(sums, x)
        by_scale = by_scale - ctx.rounded * by_shift
        count = x.numel() // x.shape[1]
        slope = 2.0 / count * by_scale * ctx.scale.by_variance
        shift = -by_shift * ctx.scale.value / count - slope * ctx.rounded
        native.call(
            "input_gradient", grad_y, x, center, scale, _repeat(slope, width), _repeat(shift, width),
            result, rows * ctx.steps, width,
        )  # fmt: skip
        by_weight, *by_inner = (by_scale * derivative for derivative in ctx.scale.by_weights)
        grads = [by_weight, by_shift]
        for by_first in by_inner:  # its bias moves nothing
            grads += [by_first, torch.zeros_like(by_first)]
        return result, None, None, None, *(each.to(x.dtype) for each in grads)


def _rows(x: Tensor, steps: int) -> tuple[int, int]:
    """Rows of a time step and their width: as many positions of C channels as make a row of some length."""
    positions, channels = x.numel() // x.shape[1] // steps, x.shape[1]
    together = 1
    while positions % (2 * together) == 0 and (
        together * channels < ROW or together * channels % LANES
    ):
        together *= 2
    return positions // together, together * channels


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel in float64, from sums about the first position."""
    rows, width = _rows(x, 1)
    first = x[0, :, 0, 0]
    sums = torch.empty(torch.get_num_threads(), 2, width, dtype=torch.float64)
    native.call("moments", x, _repeat(first, width), sums, rows, width)
    total, squares = _per_channel(sums, x)
    count = x.numel() // x.shape[1]
    mean = total / count
    return first + mean, (squares / count - mean.square()).clamp_min_(0.0)


def _per_channel(sums: Tensor, x: Tensor) -> Tensor:
    """``[threads, 2, width]`` to ``[2, C]``."""
    return sums.unflatten(2, (-1, x.shape[1])).sum((0, 2))


def _repeat(vector: Tensor, width: int) -> Tensor:
    return vector.float().repeat(width // len(vector))
