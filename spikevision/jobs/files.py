"""Files that are either whole or not there: written beside their place, flushed to disk, then renamed."""

import json
import os
from pathlib import Path
from typing import Any


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    Args:
        path: File to write; its folder is made when it is missing.
        content: All bytes of the file.

    Raises:
        OSError: When the disk is full or the folder cannot be written. The old file is untouched then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as readable JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    write_atomically(path, (text + "\n").encode())


def _plain(value: Any) -> Any:
    """Arrays, tensors and their scalars as lists and numbers, anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
