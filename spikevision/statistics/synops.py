"""Operations of the synaptic layers: dense MACs, and the exact number of targets that each spike has."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from spikevision.statistics.tensor_summary import TensorSummary

__all__ = ["SYNAPTIC", "fan_out", "layer_macs", "spike_operations"]

SYNAPTIC = (_ConvNd, nn.Linear)


def layer_macs(layer: _ConvNd | nn.Linear, x: Tensor, output: Tensor) -> int:
    """Dense multiply-accumulates of one call, by shapes alone; zero padding counts, as is the custom.

    Args:
        layer: Convolution, transposed convolution (1 to 3 dimensions each) or linear layer.
        x: Its input.
        output: Its output.
    """
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, _ConvTransposeNd):
        return x.numel() * (layer.out_channels // layer.groups) * taps
    return output.numel() * (layer.in_channels // layer.groups) * taps


def fan_out(conv: _ConvNd, in_size: torch.Size, out_size: torch.Size) -> Tensor | int:
    """Number of output positions that each input position reaches, ``[prod(in_size)]``, or one number for all.

    Borders, stride, padding (of any mode) and dilation are taken as they are. A spike has this many targets in
    each of the ``out_channels / groups`` channels of its group.

    Args:
        conv: The convolution, transposed or not.
        in_size: Spatial size of its input.
        out_size: Spatial size of its output.
    """
    reached = torch.ones(1, dtype=torch.float64)
    for axis, (size, out) in enumerate(zip(in_size, out_size, strict=True)):
        if isinstance(conv, _ConvTransposeNd):
            along_axis = _transposed_targets(conv, axis, size, out)
        else:
            along_axis = _targets(conv, axis, size, out)
        reached = torch.outer(reached, along_axis).flatten()
    everywhere = int(reached[0])
    return everywhere if bool((reached == everywhere).all()) else reached


def _targets(conv: _ConvNd, axis: int, size: int, out: int) -> Tensor:
    """Per index along one axis: how many (output index, tap) pairs read it."""
    tap, stride, dilation = conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis]
    index = torch.arange(1, size + 1, dtype=torch.float64).view(1, 1, -1)
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    padded = nn.functional.pad(index, _padding(conv, axis), mode=mode).flatten().long()
    read = torch.arange(out)[:, None] * stride + torch.arange(tap) * dilation
    return torch.bincount(padded[read].flatten(), minlength=size + 1)[1:].double()


def _padding(conv: _ConvNd, axis: int) -> tuple[int, int]:
    """Padding before and after; ``same`` puts the odd element behind, as PyTorch does."""
    if isinstance(conv.padding, str):
        if conv.padding == "valid":
            return 0, 0
        total = conv.dilation[axis] * (conv.kernel_size[axis] - 1)
        return total // 2, total - total // 2
    return conv.padding[axis], conv.padding[axis]


def _transposed_targets(conv: _ConvTransposeNd, axis: int, size: int, out: int) -> Tensor:
    """Per index along one axis: how many taps of its copy of the kernel fall inside the output."""
    before, _ = _padding(conv, axis)
    first = torch.arange(size)[:, None] * conv.stride[axis] - before
    place = first + torch.arange(conv.kernel_size[axis]) * conv.dilation[axis]
    return ((place >= 0) & (place < out)).sum(1).double()


def spike_operations(
    layer: _ConvNd | nn.Linear, summary: TensorSummary, x: Tensor, reached: Tensor | int
) -> list[int]:
    """Synaptic operations of one call at each time step: spikes times their targets.

    Args:
        layer: The layer.
        summary: Summary of its input, which is not of real values.
        x: Its input, ``[T N, C, ...]`` (a linear layer: channels last).
        reached: :func:`fan_out` of a convolution; not looked at for a linear layer.
    """
    if isinstance(layer, nn.Linear):
        group_width = layer.out_features
    else:
        group_width = layer.out_channels // layer.groups
    if isinstance(reached, int):
        return [spikes * reached * group_width for spikes in summary.per_step()]
    targets = summary.plane(x) @ reached.to(x.device)
    return [int(count) * group_width for count in targets.tolist()]
