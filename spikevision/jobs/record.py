"""``run.json``: what was run, with which versions and seed, and what came of it."""

import contextlib
import json
import platform
import subprocess
import time
import traceback
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from mmengine.device import get_device

import spikevision
from spikevision.jobs.files import write_json
from spikevision.jobs.run_dir import RECORD
from spikevision.jobs.spec import RunSpec

LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmpretrain",
    "mmdet",
)


class RunRecord:
    """The record of one run, on disk after every change.

    Used as a context manager around the run: leaving it by an exception records the failure (and lets the exception
    go on), leaving it with no status given records ``finished``.

    Args:
        run_dir: Folder of the run.
        job: ``train``, ``evaluate`` or ``infer``.
        spec: What was asked for.
        active: False on all but the first process of a distributed run, which alone writes.
    """

    def __init__(self, run_dir: Path, *, job: str, spec: RunSpec, active: bool = True) -> None:
        self.path = run_dir / RECORD
        self._active = active
        self._begin = time.monotonic()
        earlier = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self._before_s = float(earlier.get("duration_s", 0.0))
        self.fields: dict[str, Any] = {
            "job": job,
            "status": "running",
            "spec": spec.to_dict(),
            "config": str(Path(spec.config).resolve()),
            "started": earlier.get("started", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
            "resumed": earlier.get("resumed", -1) + 1,
            "duration_s": self._before_s,
            "git_commit": git_commit(),
            "versions": versions(),
            "device": device_name(),
            "seed": None,
            "metrics": earlier.get("metrics", {}),
        }

    def update(self, **fields: Any) -> None:
        """Set fields and write the file."""
        self.fields.update(fields, duration_s=round(self._before_s + self._elapsed_s(), 3))
        if self._active:
            write_json(self.path, self.fields)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begin

    def __enter__(self) -> "RunRecord":
        self.update()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            status = self.fields["status"]
            self.update(status="finished" if status == "running" else status)
            return
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        text = "".join(traceback.format_exception(kind, error, trace))
        with contextlib.suppress(OSError):  # a full disk may be what failed: that error matters
            self.update(status=status, error=f"{type(error).__name__}: {error}", traceback=text)


def git_commit() -> str | None:
    """Commit of the source tree that the package runs from; None for an installed package."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(spikevision.__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Version of Python, spikevision and each library that a result can depend on."""
    found = {"python": platform.python_version(), "spikevision": spikevision.__version__}
    for library in (*LIBRARIES, "mmsegmentation"):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "torch": str(torch.__version__)}  # with the kind of its build


def device_name() -> str:
    """The device that mmengine will use, with the name of the accelerator where there is one."""
    device = get_device()
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
