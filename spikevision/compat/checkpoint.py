"""Checkpoints of mmengine under torch's ``weights_only=True``: read in full, and nothing in them is ever executed.

A checkpoint is a pickle, and a pickle may name any function to call. torch refuses every name that is not on its list;
mmengine's checkpoints hold a handful that are not (a history of log values, NumPy scalars). This module puts just those on
the list, and turns torch's refusals, which advise switching the guard off, into errors that say what is wrong.
"""

import json
import pickle
import re
from collections.abc import Callable
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["CheckpointError", "allow_mmengine_checkpoints", "load_from_local", "safe_load"]

MapLocation = Any  # whatever torch.load takes

NUMPY_TYPES = [
    "Bool",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float16",
    "Float32",
    "Float64",
    "Str",
]


class CheckpointError(ValueError):
    """A checkpoint cannot be read: damaged, no checkpoint at all, or it holds what is not data."""


def _numpy_globals() -> list[Any]:
    """What a pickled NumPy array or scalar names, under the module names of NumPy 1 and 2."""
    scalar: Any = np.float64(0).__reduce__()[0]
    array: Any = np.zeros(0).__reduce__()[0]
    renamed = [
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for function in (scalar, array)
        for core in ("core", "_core")
    ]
    return [np.ndarray, np.dtype, *renamed, *(getattr(np.dtypes, f"{n}DType") for n in NUMPY_TYPES)]


def _statistic(owner: Any, name: str) -> Callable[..., Any]:
    """Stand in for ``getattr`` in a checkpoint: a HistoryBuffer names its methods by it, and nobody else may.

    Raises:
        pickle.UnpicklingError: If anything but a statistic of HistoryBuffer is asked for.
    """
    from mmengine.logging import HistoryBuffer

    HistoryBuffer()  # its first instance fills the table
    if owner is HistoryBuffer and name in HistoryBuffer._statistics_methods:
        return HistoryBuffer._statistics_methods[name]
    raise pickle.UnpicklingError("Unsupported GLOBAL builtins.getattr")


@cache
def allow_mmengine_checkpoints() -> None:
    """Let torch and mmengine read mmengine's checkpoints safely; called once per process, later calls do nothing.

    Puts ``HistoryBuffer`` with its statistics, ``ConfigDict`` and plain NumPy values on torch's list of safe names, and registers
    :func:`load_from_local` as mmengine's loader of local files, so ``Runner.resume``, ``load_checkpoint`` and
    ``init_detector`` fail with the errors of :func:`safe_load`.
    """
    from mmengine.config import ConfigDict
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    statistic = (_statistic, "builtins.getattr")
    torch.serialization.add_safe_globals([HistoryBuffer, statistic, ConfigDict, *_numpy_globals()])
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_local, force=True)


def load_from_local(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Read a local file for mmengine; the name is what mmengine's log shows after ``load_from_``."""
    return safe_load(filename, map_location=map_location)


def safe_load(path: str | PathLike[str], map_location: MapLocation = "cpu") -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Args:
        path: Checkpoint file, written by mmengine or ``torch.save`` (zip or the older format), or safetensors, which
            are known by their content.
        map_location: Device for the tensors, as for ``torch.load``.

    Returns:
        The dictionary in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is truncated or no checkpoint, holds anything beside tensors, plain data and
            what mmengine saves (the error names it; it has not run), or holds no dictionary.
    """
    allow_mmengine_checkpoints()
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {path}")
    if _is_safetensors(path):
        return _read_safetensors(path, map_location)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from None
    except OSError:
        raise
    except Exception as error:  # a damaged file may break the reader anywhere
        raise CheckpointError(_damage(path, error)) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"{path} holds a {type(checkpoint).__name__}; a checkpoint is a dictionary, of tensors or with 'state_dict'"
        )
    return checkpoint


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header in eight bytes, and its opening brace."""
    with open(path, "rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and 8 + int.from_bytes(head[:8], "little") <= path.stat().st_size


def _read_safetensors(path: Path, map_location: MapLocation) -> dict[str, Any]:
    """A checkpoint with ``state_dict`` and, where the file has one, ``meta``."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise CheckpointError(_damage(path, error)) from error
    if isinstance(map_location, (str, torch.device)):
        state = {name: value.to(map_location) for name, value in state.items()}
    return {"state_dict": state, "meta": meta}


def _refusal(path: Path, message: str) -> str:
    """Say which name torch refused, or that the pickle is no checkpoint where it refused none."""
    name = re.search(r"GLOBAL ([\w.]+)|(?:function|but got) (<.+?>)", message)
    if name is None:
        reason = message.partition("WeightsUnpickler error:")[2].strip().splitlines()
        return f"{path} is not a checkpoint that torch can read: {(reason or [message])[0]}"
    return (
        f"{path} is refused: it holds {name[1] or name[2]}, which is code and not data; nothing in the file was executed. "
        "A checkpoint may hold tensors, plain Python data and what mmengine saves. Save the weights alone with "
        "torch.save(model.state_dict(), ...) where the file comes from."
    )


def _damage(path: Path, error: Exception) -> str:
    reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
    return (
        f"{path} ({path.stat().st_size} bytes) cannot be read: {reason}. Is the file truncated, or no checkpoint at all? "
        "Copy it again, or take the checkpoint before it."
    )
