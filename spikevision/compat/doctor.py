"""What is installed, what works, and how to mend what does not.

Everything is found out by trying it: operators run, a checkpoint is written and read, a foreign pickle is offered.
:func:`check` returns data; printing is the command line's business.
"""

import os
import platform
import shutil
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

__all__ = ["Check", "check"]

FREE_DISK_GB = 5.0
LIBRARIES = ("mmdet", "mmseg", "mmpretrain")
REINSTALL = "install spikevision again, in a fresh environment"


@dataclass(frozen=True)
class Check:
    """One finding.

    Args:
        name: What was looked at.
        status: ``ok``, ``warn`` (works, with a limit) or ``fail`` (something that spikevision needs does not work).
        detail: What was found.
        remedy: How to mend it, empty where there is nothing to mend.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def check() -> list[Check]:
    """Look at everything and return the findings in the order in which to read them. Takes some ten seconds."""
    from spikevision.compat.finder import install

    install()
    findings: list[Check] = []
    for group in (_versions, _mmcv, _operators, _libraries, _checkpoints, _machine):
        findings += _guarded(group)
    return findings


def _guarded(group: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The group's findings; an error of the group itself becomes one."""
    try:
        yield from group()
    except Exception as error:
        name = group.__name__.strip("_")
        yield Check(name, "fail", _one_line(error), f"mend what it names, or {REINSTALL}")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def _versions() -> Iterator[Check]:
    """Python and every requirement that spikevision declares, against the declared range."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    try:
        declared = metadata.distribution("spikevision")
    except metadata.PackageNotFoundError:
        yield Check(
            "spikevision", "warn", "not installed; versions not checked", "pip install -e ."
        )
        return
    wanted = SpecifierSet(declared.metadata["Requires-Python"] or "")
    yield _version("Python", platform.python_version(), wanted)
    for line in declared.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = requirement.name
            yield _version(name, _installed(name), requirement.specifier)


def _installed(name: str) -> str | None:
    """Installed version; a compiled mmcv stands in for mmcv-lite."""
    for candidate in (name, "mmcv") if name == "mmcv-lite" else (name,):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def _version(name: str, found: str | None, wanted: "SpecifierSet") -> Check:
    declared = f"declared: {wanted or 'any'}"
    if found is None:
        return Check(name, "fail", f"not installed ({declared})", f"pip install '{name}{wanted}'")
    if wanted.contains(found, prereleases=True):
        return Check(name, "ok", f"{found} ({declared})")
    remedy = f"pip install '{name}{wanted}'" if name != "Python" else f"use a Python {wanted}"
    return Check(name, "warn", f"{found} is outside what is tested ({declared})", remedy)


def _mmcv() -> Iterator[Check]:
    """Whose operators answer ``mmcv._ext``."""
    from spikevision.compat.finder import EXTENSION, ORIGIN

    try:
        extension = import_module(EXTENSION)
    except ImportError as error:
        remedy = "a compiled mmcv does not fit this PyTorch: pip uninstall mmcv, then pip install mmcv-lite==2.1.0"
        yield Check("mmcv operators", "fail", _one_line(error), remedy)
        return
    spec = extension.__spec__
    origin = spec.origin if spec is not None else None
    ours = origin == ORIGIN
    detail = (
        "mmcv-lite, answered by spikevision from torchvision" if ours else f"compiled: {origin}"
    )
    yield Check("mmcv operators", "ok", detail)


def _operators() -> Iterator[Check]:
    """Each family of operators, forward and backward on real tensors."""
    import torch

    from spikevision.compat.smoke import SMOKE_RUNS

    for name, run in SMOKE_RUNS.items():
        try:
            found, expected = run()
            torch.testing.assert_close(found.detach().cpu(), expected, check_dtype=False)
        except Exception as error:
            yield Check(f"operator {name}", "fail", _one_line(error), REINSTALL)
        else:
            yield Check(f"operator {name}", "ok", f"right, on {found.device.type}")


def _libraries() -> Iterator[Check]:
    """Whether the OpenMMLab libraries import, with all their models, and find each other's configs."""
    for library in LIBRARIES:
        try:
            import_module(f"{library}.models")
        except Exception as error:
            yield Check(f"{library}.models", "fail", _one_line(error), REINSTALL)
        else:
            yield Check(f"{library}.models", "ok", "imports")
    from mmengine.utils import get_installed_path

    yield Check("configs of mmdet", "ok", f"found in {get_installed_path('mmdet')}")


class _Foreign:
    """A pickle that leaves a file behind if anyone executes it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def _checkpoints() -> Iterator[Check]:
    """Whether mmengine's checkpoints load, and a foreign pickle does not."""
    import torch
    from mmengine.logging import HistoryBuffer

    from spikevision.compat.checkpoint import CheckpointError, safe_load

    with tempfile.TemporaryDirectory() as folder:
        path, trace = Path(folder, "checkpoint.pth"), Path(folder, "trace")
        torch.save({"state_dict": {}, "message_hub": {"loss": HistoryBuffer([1.0], [1])}}, path)
        loss = safe_load(path)["message_hub"]["loss"].current()
        status: Literal["ok", "fail"] = "ok" if loss == 1.0 else "fail"
        yield Check("checkpoints of mmengine", status, "load with weights_only=True")
        torch.save(_Foreign(trace), path)
        try:
            safe_load(path)
        except CheckpointError:
            yield Check("foreign pickle", "ok", "refused, and nothing of it ran")
        else:
            yield Check("foreign pickle", "fail", "was loaded", REINSTALL)
    variable = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    if os.environ.get(variable, "").lower() in ("1", "y", "yes", "true"):
        detail = f"{variable} is set: other libraries load pickles that can run code"
        yield Check("torch.load", "warn", detail, f"unset {variable}")


def _machine() -> Iterator[Check]:
    """Compiler, CUDA, threads, disk and Ray."""
    yield _compiler()
    yield _cuda()
    yield _threads()
    yield _disk(Path.cwd())
    if find_spec("ray") is None:
        yield Check("Ray", "ok", "not installed; only needed for runs on a cluster")
    else:
        yield Check("Ray", "ok", metadata.version("ray"))


def _compiler() -> Check:
    """torch.compile needs a C++ compiler and Python's headers; without them neurons run eagerly."""
    names = [os.environ.get("CXX") or "g++", "c++", "clang++"]
    compiler = next(filter(None, map(shutil.which, names)), None)
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if compiler is None:
        remedy = "install a C++ compiler, e.g. apt-get install g++"
        return Check("compiler", "warn", "no C++ compiler: neurons run eagerly, slower", remedy)
    if not header.is_file():
        remedy = "install Python's headers, e.g. apt-get install python3-dev"
        return Check("compiler", "warn", f"no {header}: neurons run eagerly, slower", remedy)
    return Check("compiler", "ok", f"{compiler}, Python.h in {header.parent}")


def _cuda() -> Check:
    import torch

    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        detail = f"{torch.version.cuda}, {torch.cuda.device_count()} x {', '.join(sorted(names))}"
        return Check("CUDA", "ok", detail)
    if shutil.which("nvidia-smi"):
        remedy = "install the torch and torchvision wheels for your driver (pytorch.org)"
        return Check("CUDA", "warn", "a driver is here, but torch finds no GPU", remedy)
    return Check("CUDA", "ok", "no GPU; everything runs on the CPU")


def _threads() -> Check:
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    if threads > cores:
        detail = f"{threads} threads on {cores} usable cores slow each other down"
        return Check("threads", "warn", detail, f"export OMP_NUM_THREADS={cores}")
    return Check("threads", "ok", f"{threads} on {cores} usable cores")


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _disk(folder: Path) -> Check:
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < FREE_DISK_GB:
        remedy = "free some space, or set work_dir to a larger disk"
        return Check("free disk", "warn", f"{free_gb:.1f} GB in {folder}", remedy)
    return Check("free disk", "ok", f"{free_gb:.1f} GB in {folder}")
