"""Debian packages that carry data: fetched by pinned hash into a cache folder and read without installing them."""

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from spikevision.datasets.fetch import FetchError, with_hash

__all__ = ["fetch_debian", "open_debian"]


def fetch_debian(package: str, sha256: str, *, cache: str | Path) -> Path:
    """Path of a Debian package with the pinned hash, fetched by apt unless the cache has it; needs no root.

    Raises:
        ValueError: If apt offers another version than the pinned one.
        FetchError: If it cannot be fetched.
    """
    cache = Path(cache)
    cached = with_hash(cache, sha256)
    if cached is not None:
        return cached
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _run(["apt-get", "download", package], Path(folder), package, cache)
        found = with_hash(Path(folder), sha256)
        if found is None:
            raise ValueError(f"{package}: apt offers another version than the pinned one")
        return found.replace(cache / found.name)


def open_debian(package: Path) -> tarfile.TarFile:
    """The files of a package; their names begin with ``./``."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package.resolve())]
    content = _run(command, package.parent, package.name.partition("_")[0], package.parent)
    return tarfile.open(fileobj=io.BytesIO(content))


def _run(command: list[str], folder: Path, package: str, cache: Path) -> bytes:
    """Standard output of a command.

    Raises:
        FetchError: It failed or is not installed; says how to get the data otherwise.
    """
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        output: bytes = getattr(error, "stderr", None) or str(error).encode()
        reason = output.decode(errors="replace").strip().splitlines()[-1]
        raise FetchError(
            f"`{' '.join(command[:2])}` did not work ({reason}). Fetch Debian's package {package} on another machine "
            f"and put it into {cache}"
        ) from error
