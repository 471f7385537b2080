"""Operations counted one by one in plain Python: every spike, every output that reads it."""

from itertools import product

import torch
from torch import Tensor, nn

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def conv_operations(conv: nn.Module, x: Tensor, out_size: tuple[int, ...]) -> int:
    """Sum over all values of ``x`` of the value times the number of weights that multiply it."""
    weights_per_tap = conv.out_channels // conv.groups
    total = 0
    for index in product(*map(range, x.shape)):
        spikes = int(x[index])
        if spikes:
            total += spikes * weights_per_tap * targets(conv, index[2:], x.shape[2:], out_size)
    return total


def targets(conv: nn.Module, position: tuple[int, ...], in_size, out_size) -> int:
    """Number of (output position, tap) pairs that read the input position."""
    count = 0
    for out in product(*map(range, out_size)):
        for tap in product(*map(range, conv.kernel_size)):
            count += all(
                reads(conv, axis, position[axis], out[axis], tap[axis], in_size[axis])
                for axis in range(len(out))
            )
    return count


def reads(conv: nn.Module, axis: int, position: int, out: int, tap: int, size: int) -> bool:
    """Whether an output reads an input position through a tap, along one axis."""
    stride, dilation = conv.stride[axis], conv.dilation[axis]
    if isinstance(conv, TRANSPOSED):
        return position * stride - conv.padding[axis] + tap * dilation == out
    place = out * stride - left_padding(conv, axis) + tap * dilation
    if conv.padding_mode == "circular":
        place %= size
    return place == position


def left_padding(conv: nn.Module, axis: int) -> int:
    if conv.padding == "same":
        return conv.dilation[axis] * (conv.kernel_size[axis] - 1) // 2
    return 0 if conv.padding == "valid" else conv.padding[axis]


def product_operations(q: Tensor, k: Tensor, v: Tensor) -> tuple[int, int]:
    """Additions of the two products of ``(Q K^T) V``, in the cheaper order; operands ``[T, N, M, D, L]``."""
    inner = outer = 0
    width, tokens = q.shape[-2:]
    for t, n, m in product(*map(range, q.shape[:3])):
        a, b, c = (x[t, n, m] for x in (q, k, v))
        if tokens > width:
            for i, j, token in product(range(width), range(v.shape[-2]), range(tokens)):
                inner += int(b[i, token] * c[j, token])
                outer += int(a[i, token])
        else:
            for i, query, key in product(range(width), range(tokens), range(tokens)):
                inner += int(a[i, query] * b[i, key])
                outer += int(c[i, key])
    return inner, outer


def spikes_like(*shape: int, levels: int = 1, seed: int = 0) -> Tensor:
    """Whole numbers from 0 to ``levels``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels + 1, shape, generator=generator).float()
