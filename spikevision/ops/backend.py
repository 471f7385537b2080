"""Which way a neuron's time steps are run: compiled, chunked or plain."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

BACKENDS = ("auto", "compiled", "chunked", "plain")
VARIABLE = "SPIKEVISION_NEURON_BACKEND"
REMEDY = (
    "install a C++ compiler (Debian, Ubuntu: apt install g++) and Python's headers (python3-dev), "
    "or choose the neuron backend 'chunked' to silence this"
)

_chosen: str | None = None
_compiler_failed = False


def _check(name: str, source: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"unknown {source} {name!r}; known ones: {', '.join(BACKENDS)}")
    return name


def get_neuron_backend() -> str:
    """Name of the backend in force: the one set, else the environment variable's, else auto."""
    if _chosen is not None:
        return _chosen
    return _check(os.environ.get(VARIABLE, "auto"), f"neuron backend in {VARIABLE}")


def set_neuron_backend(name: str | None) -> None:
    """Choose how neurons run their time steps; spikes and gradients do not depend on it.

    Args:
        name: ``'auto'`` compiles where a compiler works and goes chunk by chunk where none does,
            with one warning; ``'compiled'`` insists on the compiler; ``'chunked'`` needs none;
            ``'plain'`` is the loop under autograd, slow and large, to compare with. None leaves
            the choice to the environment variable ``SPIKEVISION_NEURON_BACKEND``, or auto.

    Raises:
        ValueError: If the name is unknown.
    """
    global _chosen
    _chosen = None if name is None else _check(name, "neuron backend")


@contextmanager
def neuron_backend(name: str) -> Iterator[None]:
    """Choose a backend for the length of a ``with`` block, see :func:`set_neuron_backend`.

    Raises:
        ValueError: If the name is unknown.
    """
    previous = _chosen
    set_neuron_backend(name)
    try:
        yield
    finally:
        set_neuron_backend(previous)


def resolve_backend(x: Tensor) -> str:
    """The backend that an input is run with: ``'compiled'``, ``'chunked'`` or ``'plain'``.

    Inside an outer ``torch.compile``, ``torch.export`` or ``torch.jit.trace`` it is the plain
    loop, which those see through.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or x.is_meta:
        return "plain"
    name = get_neuron_backend()
    if name != "auto":
        return name
    if x.device.type == "cpu" and not _compiler_failed and not _has_cpp_compiler():
        report_compiler_failure("no C++ compiler found")
    return "chunked" if _compiler_failed else "compiled"


def report_compiler_failure(reason: str, remedy: str = REMEDY) -> None:
    """Note that compiling does not work here and warn, once per process."""
    global _compiler_failed
    if not _compiler_failed:
        warnings.warn(
            f"neurons run without a compiler, correct but slower: {reason}; {remedy}",
            RuntimeWarning,
            stacklevel=2,
        )
    _compiler_failed = True


def _has_cpp_compiler() -> bool:
    return _is_on_path(os.environ.get("CXX", "g++"), os.environ.get("PATH"))


@cache
def _is_on_path(program: str, path: str | None) -> bool:
    """A search of the disk; once, since every call of a neuron asks."""
    return shutil.which(program, path=path) is not None
