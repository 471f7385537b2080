"""The folder that all machines share: a local or mounted one, or object storage, by one URI."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from spikevision.jobs.files import write_atomically

LOCAL_ONLY = (".pth", ".pt", ".part")


class Storage:
    """Files below a folder or URI.

    Args:
        uri: Folder, or ``s3://bucket/path``, ``gs://...``; options such as ``endpoint_override`` follow a ``?``.

    Raises:
        ValueError: The URI is of no known kind.
    """

    def __init__(self, uri: str) -> None:
        local = "://" not in uri
        self.uri = str(Path(uri).expanduser().resolve()) if local else uri
        try:
            found = (LocalFileSystem(), self.uri) if local else FileSystem.from_uri(uri)
        except (ArrowException, ValueError, OSError) as error:
            raise ValueError(f"storage {uri!r} cannot be used: {error}") from error
        self.fs: FileSystem = found[0]
        self.path: str = found[1]

    def location(self, name: str) -> str:
        """What a user calls a file or folder here: a path, or a URI with its options left out."""
        if "://" not in self.uri:
            return f"{self.path}/{name}"
        return f"{self.uri.partition('?')[0].rstrip('/')}/{name}"

    def below(self, name: str) -> str:
        """URI of a folder here, options included: ``Storage(storage.below("a"))`` is the storage of that folder."""
        base, question, options = self.uri.partition("?")
        return f"{base.rstrip('/')}/{name}{question}{options}"

    def read(self, name: str) -> bytes | None:
        """Content of a file; None when there is none."""
        try:
            with self.fs.open_input_stream(f"{self.path}/{name}", compression=None) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        if isinstance(self.fs, LocalFileSystem):
            write_atomically(f"{self.path}/{name}", content)
            return
        with self.fs.open_output_stream(f"{self.path}/{name}", compression=None) as file:
            file.write(content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.delete_file(f"{self.path}/{name}")

    def read_json(self, name: str) -> Any:
        """Value of a JSON file; None when there is none."""
        content = self.read(name)
        return None if content is None else json.loads(content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as readable JSON."""
        self.write(name, (json.dumps(value, indent=2) + "\n").encode())

    def upload(self, folder: Path, name: str) -> None:
        """Copy the files of a folder here, without checkpoints, which take their own way."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in LOCAL_ONLY:
                self.write(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def files(self, name: str) -> list[str]:
        """Paths of all files below a folder, relative to it."""
        base = f"{self.path}/{name}"
        found = self.fs.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
        return sorted(
            os.path.relpath(info.path, base) for info in found if info.type == FileType.File
        )

    def check_writable(self) -> None:
        """Write and read a small file.

        Raises:
            ValueError: It cannot be written, or does not come back.
        """
        name, content = f".spikevision_{os.getpid()}", os.urandom(16)
        try:
            self.write(name, content)
            same = self.read(name) == content
            self.remove(name)
        except (OSError, ArrowException) as error:
            raise ValueError(f"storage {self.uri!r} cannot be written: {error}") from error
        if not same:
            raise ValueError(f"storage {self.uri!r} does not give back what was written to it")
