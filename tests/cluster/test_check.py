"""What ``cluster check`` says, from answers as nodes give them; two real hosts are in test_two_hosts.py."""

from types import SimpleNamespace

import pytest

from spikevision.cluster import check as module
from spikevision.cluster import network
from spikevision.cluster.check import check


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_USE_TLS", "")


def ray_of(*nodes: tuple[str, bool]) -> SimpleNamespace:
    rows = [
        {"NodeManagerAddress": address, "NodeID": address, "Alive": alive}
        for address, alive in nodes
    ]
    return SimpleNamespace(nodes=lambda: rows)


def by_name(findings) -> dict:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def answers(monkeypatch):
    """Set what the nodes answer."""

    def answer(*, versions=None, storage=None):
        monkeypatch.setattr(module, "version_problems", lambda ray: versions or {})
        monkeypatch.setattr(module, "storage_problems", lambda ray, uri: storage or {})

    return answer


def test_a_machine_without_a_node_is_told_how_to_start_one():
    with pytest.raises(ValueError, match="cluster start` starts one"):
        list(check())


def test_a_head_that_does_not_answer_is_the_only_finding():
    (finding,) = check("127.0.0.1:9")
    assert (finding.status, finding.name) == ("fail", "head node")
    assert "cannot reach 127.0.0.1:9" in finding.detail
    assert "firewall" in finding.remedy


def test_another_version_and_a_storage_that_is_not_shared_are_named_with_their_mending(
    answers, tmp_path
):
    answers(
        versions={"10.0.0.1": "", "10.0.0.2": "torch 1.0 there, 2.0 here"},
        storage={"10.0.0.1": "", "10.0.0.2": "does not see the storage /runs: mount it"},
    )
    ray = ray_of(("10.0.0.1", True), ("10.0.0.3", False))
    found = by_name(module._machines(ray, str(tmp_path)))
    assert found["nodes"].status == "warn"
    assert found["nodes"].detail == "1 alive: 10.0.0.1; gone: 10.0.0.3"
    assert found["versions"].status == found["storage"].status == "fail"
    assert found["versions"].detail == "10.0.0.2: torch 1.0 there, 2.0 here"
    assert found["versions"].remedy == "Install the same on all machines"
    assert found["storage"].detail == "node 10.0.0.2 does not see the storage /runs"
    assert found["storage"].remedy == "mount it"


def test_a_node_that_came_back_is_not_gone(answers):
    answers()
    ray = ray_of(("10.0.0.1", True), ("10.0.0.1", False))
    assert by_name(module._machines(ray, None))["nodes"].status == "ok"


def test_a_storage_that_cannot_be_written_here_is_not_tried_elsewhere(answers, tmp_path):
    answers()
    (tmp_path / "file").touch()
    (finding,) = module._storage(ray_of(), str(tmp_path / "file"))
    assert finding.status == "fail"
    assert "cannot be written" in finding.detail


def test_a_process_group_that_does_not_form_names_the_interfaces():
    answers = {"10.0.0.1": ("eth0", ""), "10.0.0.2": ("lo", "Connection refused")}
    finding = module._ring(answers)
    assert finding.status == "fail"
    assert "10.0.0.1 by eth0, 10.0.0.2 by lo: Connection refused" in finding.detail
    assert "GLOO_SOCKET_IFNAME" in finding.remedy
    assert module._ring({"10.0.0.1": ("eth0", "")}).status == "ok"


def test_plain_text_is_fine_on_one_machine_a_warning_in_a_network_and_a_failure_on_the_internet(
    monkeypatch,
):
    assert module._encryption("127.0.0.1").status == "ok"
    assert module._encryption("10.0.0.1").status == "warn"
    assert module._encryption("8.8.8.8").status == "fail"
    monkeypatch.setenv("RAY_USE_TLS", "1")
    assert module._encryption("8.8.8.8").status == "ok"


def test_a_dashboard_that_answers_from_elsewhere_is_named(monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(network, "is_loopback", lambda host: False)
        port = server.getsockname()[1]
        record = SimpleNamespace(dashboard=f"http://127.0.0.1:{port}")
        monkeypatch.setattr(module, "read_record", lambda: record)
        assert module._dashboard("127.0.0.1").status == "warn"
    assert module._dashboard("127.0.0.1").status == "ok"
