import os
import subprocess

import pytest

from spikevision.cluster.storage import Storage


def test_files_are_written_read_listed_and_removed(tmp_path):
    storage = Storage(str(tmp_path / "runs"))
    storage.write("one/a.txt", b"a")
    storage.write_json("one/deep/b.json", {"b": 1})
    assert storage.read("one/a.txt") == b"a"
    assert storage.read_json("one/deep/b.json") == {"b": 1}
    assert storage.files("one") == ["a.txt", "deep/b.json"]
    assert storage.location("one") == str(tmp_path / "runs" / "one")
    storage.remove("one/a.txt")
    storage.remove("one/a.txt")
    assert storage.read("one/a.txt") is None
    assert storage.files("two") == []


def test_a_folder_is_copied_without_its_checkpoints(tmp_path):
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    for name in ("run.json", "logs/a.log", "epoch_1.pth"):
        (folder / name).write_text(name)
    storage = Storage(str(tmp_path / "runs"))
    storage.upload(folder, "one")
    assert storage.files("one") == ["logs/a.log", "run.json"]


def test_a_folder_that_can_be_written_passes_and_is_left_clean(tmp_path):
    Storage(str(tmp_path / "runs")).check_writable()
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        Storage(str(tmp_path / "runs")).check_writable()


@pytest.fixture
def full_folder(tmp_path):
    """A folder on a file system of its own that has no space left."""
    folder = tmp_path / "full"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    (folder / "filler").write_bytes(bytes(4096))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_storage_is_refused(full_folder):
    with pytest.raises(ValueError, match="cannot be written: .*No space left on device"):
        Storage(str(full_folder)).check_writable()
    assert [path.name for path in full_folder.iterdir()] == ["filler"]


def test_an_unknown_kind_of_storage_is_refused():
    with pytest.raises(ValueError, match="'nowhere://x' cannot be used"):
        Storage("nowhere://x")


def test_a_location_does_not_show_the_options_of_its_uri():
    storage = Storage("s3://bucket/runs?scheme=http&endpoint_override=127.0.0.1:1&region=us-east-1")
    assert storage.location("one") == "s3://bucket/runs/one"
