import json
import subprocess
import sys

import pytest

from spikevision.cluster import nodes
from spikevision.cluster.nodes import check_nodes, library_versions
from spikevision.cluster.storage import Storage

ASK = """
import json, sys
from spikevision.cluster.nodes import check_nodes, library_versions, on_each_node
from spikevision.cluster.session import session
from spikevision.cluster.storage import Storage
with session(sys.argv[1]) as ray:
    check_nodes(ray, Storage(sys.argv[2]))
    print(json.dumps(on_each_node(ray, library_versions)))
"""


@pytest.fixture
def answers(monkeypatch):
    """Set how a node looks: what it reads from the storage, and how its versions differ."""

    def answer(*, reads=None, cannot_write="", **versions):
        def on_each_node(ray, function, *args):
            given = function(*args)
            if function is library_versions:
                return {"10.0.0.2": {**given, **versions}}
            found, problem = given
            return {"10.0.0.2": (found if reads is None else reads, cannot_write or problem)}

        monkeypatch.setattr(nodes, "on_each_node", on_each_node)

    return answer


def test_nodes_like_ours_pass_and_the_storage_is_left_clean(answers, tmp_path):
    answers()
    check_nodes(None, Storage(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_node_with_a_folder_of_its_own_in_the_place_of_the_storage_is_named(answers, tmp_path):
    answers(reads=b"")
    with pytest.raises(ValueError, match=r"node 10\.0\.0\.2 does not see .*mounted"):
        check_nodes(None, Storage(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_can_read_but_not_write_is_named(answers, tmp_path):
    answers(cannot_write="No space left on device")
    with pytest.raises(ValueError, match=r"node 10\.0\.0\.2 cannot write .*No space left .*space"):
        check_nodes(None, Storage(str(tmp_path)))


def test_a_node_with_another_version_is_named(answers, tmp_path):
    answers(torch="1.0")
    ours = library_versions()["torch"]
    with pytest.raises(ValueError, match=rf"torch 1\.0 there, {ours.replace('+', '.')} here"):
        check_nodes(None, Storage(str(tmp_path)))


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_of_a_cluster_is_asked(loopback, ray_environment, ray_address, tmp_path):
    done = subprocess.run(
        [*loopback, sys.executable, "-c", ASK, ray_address, str(tmp_path)],
        env=ray_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"127.0.0.1": library_versions()}
