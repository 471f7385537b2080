"""A network as a ``torch.export`` program of plain PyTorch operations, and back as modules whose fast parts are put in."""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.neurons import SpikingNeuron

__all__ = ["export_program", "load_modules", "replaceable"]


def replaceable(core: nn.Module) -> dict[str, nn.Module]:
    """The modules that a runtime may replace by faster ones: neurons and convolutions, by name."""
    kinds = (SpikingNeuron, nn.Conv2d)
    return {
        name: module
        for name, module in core.named_modules()
        if isinstance(module, kinds) or type(module).__name__ == "Int8Conv2d"
    }


def export_program(core: nn.Module, images: Tensor, path: Path) -> None:
    """Write a network as a program for any number of images of one size.

    Args:
        core: Folded network in eval mode without gradients.
        images: An example ``[N, C, H, W]`` (or ``[N, T, C, H, W]``).
        path: File to write, ``.pt2``.
    """
    example = images[:1].repeat(
        2, *[1] * (images.dim() - 1)
    )  # a size of 1 would be taken for fixed
    batch = torch.export.Dim("batch", min=1, max=4096)
    with torch.no_grad(), _without_warnings():
        program = torch.export.export(
            core,
            (example,),
            dynamic_shapes=({0: batch},),
            preserve_module_call_signature=tuple(replaceable(core)),
        )
        torch.export.save(program, path)


def load_modules(path: Path) -> nn.Module:
    """Read a program as a tree of modules under their names in the network.

    Raises:
        ValueError: No readable program, or one with a pickle in it that holds more than tensors.
    """
    _check_harmless(path)
    with _without_warnings():
        try:
            program = torch.export.load(path)
        except Exception as error:
            raise ValueError(
                f"{str(path)!r} is no program that this PyTorch reads: {error}"
            ) from error
        modules = torch.export.unflatten(program)
    for module in modules.modules():
        if hasattr(module, "_run_with_interpreter"):
            module._run_with_interpreter = False  # type: ignore[assignment]  # generated code: faster
    return modules


@contextmanager
def _without_warnings() -> Iterator[None]:
    """PyTorch warns of its own internals, about which nobody who deploys can do anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _check_harmless(path: Path) -> None:
    """PyTorch unpickles parts of a program without asking; such parts are refused here."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if _may_run_code(archive, name)]
    except (OSError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ValueError(f"{str(path)!r} is no exported program: {error}") from error
    if found:
        raise ValueError(f"{str(path)!r} holds pickles that may run code, refused: {found[:3]}")


def _may_run_code(archive: zipfile.ZipFile, name: str) -> bool:
    file = Path(name)
    if file.name.endswith("_config.json"):
        entries: dict[str, Any] = json.loads(archive.read(name)).get("config", {})
        return any(entry.get("use_pickle") for entry in entries.values())
    if file.name.startswith(("custom_obj", "opaque_obj")):
        return True
    return file.parent.name == "sample_inputs" and not _is_plain(archive.read(name))


def _is_plain(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception:
        return False
    return True
