"""Depthwise convolution whose weight gradient is no bottleneck on a CPU.

PyTorch's takes five to forty times as long as the forward pass. Ours is ``depthwise.c``, compiled at its first use and
kept in the user's cache; without a compiler, PyTorch's gradient is used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikevision.ops.backend import resolve_backend

__all__ = ["depthwise_conv2d"]

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-x", "c", "-O3", "-march=native", "-shared", "-fPIC")
KERNELS = (3, 5, 7)
LANES = 8  # as in the source


def depthwise_conv2d(x: Tensor, weight: Tensor) -> Tensor:
    """Depthwise convolution of stride 1 that keeps the size.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[C, 1, k, k]``, k odd.

    Returns:
        ``[N, C, H, W]``.
    """
    padding, channels = weight.shape[-1] // 2, len(weight)
    if _has_kernel(x, weight):
        return _DepthwiseConv.apply(x, weight)
    return torch.nn.functional.conv2d(x, weight, padding=padding, groups=channels)


def _has_kernel(x: Tensor, weight: Tensor) -> bool:
    """Whether there is a gradient to compute that the kernel can compute."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and weight.shape[-1] in KERNELS
        and len(weight) % LANES == 0
        and resolve_backend(x) == "compiled"
        and _library() is not None
    )


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.nn.functional.conv2d(
            x, weight, padding=weight.shape[-1] // 2, groups=len(weight)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = _input_gradient(grad, x, weight) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(grad, x, weight) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    padding = [weight.shape[-1] // 2] * 2
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], len(weight),
        [True, False, False],
    )[0]  # fmt: skip


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``[C, 1, k, k]``, from the kernel; channels are divided among threads."""
    function, kernel = _library(), weight.shape[-1]
    assert function is not None
    images, channels, height, width = x.shape
    x = x.contiguous(memory_format=torch.channels_last)
    grad = grad.contiguous(memory_format=torch.channels_last)
    result = torch.empty(kernel, kernel, channels)

    def run(begin: int, end: int) -> None:
        function(
            x.data_ptr(), grad.data_ptr(), result.data_ptr(),
            images, height, width, channels, kernel, begin, end,
        )  # fmt: skip

    threads = min(torch.get_num_threads(), channels // LANES)
    if threads == 1:
        run(0, channels)
    else:
        cuts = [channels // LANES * part // threads * LANES for part in range(threads + 1)]
        list(_pool(os.getpid(), threads).map(run, cuts[:-1], cuts[1:]))
    return result.permute(2, 0, 1).unsqueeze(1)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="depthwise")


@cache
def _library() -> Callable[..., None] | None:
    """The compiled function, or None where it does not compile."""
    try:
        function = ctypes.CDLL(str(_built())).depthwise_weight_gradient
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        warnings.warn(
            f"depthwise weight gradients are PyTorch's, correct but slow: {reason}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 7
    function.restype = None
    return function


def _built() -> Path:
    """Compile the source unless the cache has it for this source, compiler and machine."""
    compiler = os.environ.get("CXX", "g++")
    identity = [SOURCE.read_text(), compiler, *FLAGS, platform.machine(), _processor()]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikevision"
    library = folder / f"depthwise-{digest}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = library.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, *FLAGS, str(SOURCE), "-o", str(unfinished)],
            check=True,
            capture_output=True,
            text=True,
        )
        unfinished.replace(library)
    return library


def _processor() -> str:
    """Model and features of the processor, which ``-march=native`` compiles for."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
