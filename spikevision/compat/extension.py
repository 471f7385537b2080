"""The operators behind ``mmcv._ext`` on this machine: torchvision's kernels and plain PyTorch, by spikevision."""

from collections.abc import Callable
from typing import Any

import torch
import torchvision

from spikevision.compat import attention, boxes, deform, focal, roi

__all__ = ["OPERATORS"]


def get_compiler_version() -> str:
    """What mmcv's environment report prints as its compiler."""
    return f"none: operators by spikevision on torchvision {torchvision.__version__}"


def get_compiling_cuda_version() -> str:
    """What mmcv's environment report prints as its CUDA."""
    return torch.version.cuda or "not available"


OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(family, name)
    for family in (attention, boxes, deform, focal, roi)
    for name in family.__all__
} | {
    "get_compiler_version": get_compiler_version,
    "get_compiling_cuda_version": get_compiling_cuda_version,
}
