"""Our C kernels: compiled at first use, kept in the user's cache, called on the memory of tensors.

Without a compiler, and wherever a kernel does not fit, their twins in PyTorch run.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import warnings
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from spikevision.ops.backend import resolve_backend

__all__ = ["call", "has_kernels"]

FOLDER = Path(__file__).parent
# Contracted to fused multiply-add, potentials would differ in the last bit from those of other backends.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fopenmp", "-shared", "-fPIC")


def has_kernels(*tensors: Tensor) -> bool:
    """Whether kernels may compute on these tensors: float32 on a CPU, a compiler, no autocast, no tracing."""
    return (
        all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)
        and not torch.is_autocast_enabled("cpu")
        and resolve_backend(tensors[0]) == "compiled"
        and _library() is not None
    )


def call(name: str, *arguments: Tensor | int | ctypes.Structure | None) -> None:
    """Call a kernel: tensors as pointers to their memory, numbers as C longs, at the end the number of threads.

    None is the pointer to nothing.
    """
    library = _library()
    assert library is not None
    getattr(library, name)(*map(_passed, (*arguments, torch.get_num_threads())))


def _passed(argument: Tensor | int | ctypes.Structure | None) -> object:
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


@cache
def _library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they do not compile."""
    try:
        return ctypes.CDLL(str(_built()))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        warnings.warn(
            f"layers run without their C kernels, correct but slower and larger in memory: {reason}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _built() -> Path:
    """Compile the sources unless the cache has them for these sources, compiler and machine."""
    compiler, sources = os.environ.get("CXX", "g++"), sorted(FOLDER.glob("*.c"))
    texts = [source.read_text() for source in sources]
    identity = [*texts, compiler, *FLAGS, platform.machine(), _processor()]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikevision"
    library = folder / f"kernels-{digest}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        as_c = [word for source in sources for word in ("-x", "c", str(source))]
        unfinished = library.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, *FLAGS, *as_c, "-o", str(unfinished)],
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
