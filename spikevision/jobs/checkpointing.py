"""Checkpoints that survive a full disk: the last good one stays until the next one is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from spikevision.jobs.files import write_atomically
from spikevision.registry import HOOKS

BACKEND = "spikevision_atomic"


class AtomicLocalBackend(LocalBackend):
    """mmengine's local files, where a file that is put is either whole or not there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes atomically (see :func:`spikevision.jobs.files.write_atomically`)."""
        write_atomically(filepath, obj)


register_backend(BACKEND, AtomicLocalBackend, force=True)


class _RemovesLater:
    """A file backend that notes what is to be removed instead of removing it."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.notes: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.notes.append((path, os.stat(path).st_ino))

    def remove_noted(self) -> None:
        """Remove the noted files, but not one that was replaced by a new file of that name meanwhile."""
        for path, inode in self.notes:
            if os.path.isfile(path) and os.stat(path).st_ino == inode:
                self._backend.remove(path)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, which removes an old checkpoint only after the new one is safe on disk.

    The stock hook removes first (``max_keep_ckpts``, ``save_best``): with ``max_keep_ckpts=1`` a full disk leaves
    nothing. Local files only. Takes the arguments of the stock hook.
    """

    file_backend: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"backend_args": {"backend": BACKEND}, **kwargs})

    @contextmanager
    def _removing_after_saving(self) -> Iterator[None]:
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            yield
        finally:
            self.file_backend = backend
        later.remove_noted()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        with self._removing_after_saving():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        with self._removing_after_saving():
            super()._save_best_checkpoint(runner, metrics)
