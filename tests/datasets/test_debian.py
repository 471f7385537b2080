"""Debian packages in a cache folder, with a tiny one made here."""

import hashlib
import shutil
import subprocess

import pytest

from spikevision.datasets.debian import fetch_debian, open_debian
from spikevision.datasets.fetch import FetchError

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb on this machine")


@pytest.fixture
def package(tmp_path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\n"
        "Description: tiny\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "hello.txt").write_text("hello")
    file = tmp_path / "cache" / "tiny_1_all.deb"
    file.parent.mkdir()
    subprocess.run(["dpkg-deb", "-b", str(tree), str(file)], check=True, capture_output=True)
    return file


@needs_dpkg
def test_a_package_in_the_cache_is_read_without_apt(package):
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    found = fetch_debian("tiny", digest, cache=package.parent)
    assert found == package
    with open_debian(found) as files:
        assert files.extractfile("./usr/hello.txt").read() == b"hello"


def test_without_apt_the_error_names_package_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match=rf"apt-get download.*tiny.*{tmp_path}/cache"):
        fetch_debian("tiny", "0" * 64, cache=tmp_path / "cache")


def test_another_version_than_the_pinned_one_is_refused_and_not_kept(tmp_path, monkeypatch):
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho other > tiny_2_all.deb\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ValueError, match="another version"):
        fetch_debian("tiny", "0" * 64, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
