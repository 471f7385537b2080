"""What is refused before Ray is started; real nodes are in test_two_hosts.py."""

import json
import socket
from types import SimpleNamespace

import pytest

from spikevision.cluster import network, node
from spikevision.cluster.nodes import all_versions
from spikevision.cluster.record import NodeRecord


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch, tmp_path):
    """A home of its own, and no Ray; gives the words that ``ray start`` would have got."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    monkeypatch.setenv("RAY_USE_TLS", "")
    started: list[list[str]] = []

    def start_ray(words):
        started.append(words)
        return "mark"

    monkeypatch.setattr(node, "_start_ray", start_ray)
    return started


@pytest.fixture
def head(monkeypatch):
    """A head node's store; set what it holds."""
    held: dict[bytes, bytes] = {}
    store = SimpleNamespace(
        internal_kv_put=lambda key, value, overwrite, namespace: held.update({key: value}),
        internal_kv_get=lambda key, namespace: held.get(key),
    )
    monkeypatch.setattr(network, "ask_head", lambda address: store)
    monkeypatch.setattr(network, "enter", lambda address: "127.0.0.1")
    return held


def test_a_head_starts_with_a_token_its_dashboard_on_loopback_and_known_ports(
    nothing_starts, head, tmp_path
):
    record = node.start(port=29010, cpus=0)
    assert record.address == "127.0.0.1:29010"
    assert (tmp_path / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
    (words,) = nothing_starts
    given = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "--head"
    assert given["--dashboard-host"] == given["--node-ip-address"] == "127.0.0.1"
    assert given["--num-cpus"] == "0"
    assert given["--node-manager-port"] == "29011"
    assert json.loads(head[node.VERSIONS]) == all_versions()


def test_a_public_address_without_tls_starts_nothing(nothing_starts, monkeypatch):
    monkeypatch.setattr(node, "_check_free", lambda host, port: None)
    with pytest.raises(ValueError, match="8.8.8.8 is a public address"):
        node.start("8.8.8.8")
    assert nothing_starts == []


def test_a_machine_with_other_versions_does_not_join(nothing_starts, head):
    head[node.VERSIONS] = json.dumps({**all_versions(), "torch": "1.0", "ray": "2.9"}).encode()
    with pytest.raises(ValueError, match=r"ray 2\.9 there, .*torch 1\.0 there, .*Install the same"):
        node.join("127.0.0.1:29010")
    assert nothing_starts == []
    head[node.VERSIONS] = json.dumps(all_versions()).encode()
    assert not node.join("127.0.0.1:29010").head


def test_a_taken_port_and_a_foreign_address_are_named(nothing_starts):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1, port {port}"):
            node.start(port=port)
    with pytest.raises(ValueError, match=r"cannot listen on 203\.0\.113\.9"):
        node.start("203.0.113.9")
    assert nothing_starts == []


def test_one_machine_runs_one_node(monkeypatch, nothing_starts):
    running = NodeRecord(address="h:1", host="h", head=True, dashboard=None, mark="one")
    monkeypatch.setattr(node, "read_record", lambda: running)
    with pytest.raises(ValueError, match="a node of the cluster h:1 runs on this machine already"):
        node.start()
    assert nothing_starts == []


def test_there_has_to_be_something_to_stop():
    with pytest.raises(ValueError, match="started nothing that runs here now"):
        node.stop()
