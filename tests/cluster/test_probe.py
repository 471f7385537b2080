import socket

import pytest

pytest.importorskip("ray")

from spikevision.cluster import probe as module  # noqa: E402
from spikevision.cluster.probe import Probe  # noqa: E402


def test_a_port_that_listens_is_reached_and_one_that_does_not_is_named():
    one, other = Probe("127.0.0.1"), Probe("127.0.0.1")
    port = other.listen()
    assert one.unreachable([("127.0.0.1", port)]) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    assert one.unreachable([("127.0.0.1", port), ("127.0.0.1", closed)]) == ["127.0.0.1"]


def test_a_ring_says_by_which_interface_or_what_is_wrong(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setattr(module, "choose_interface", lambda: None)
    probe = Probe("127.0.0.1")
    assert probe.ring(0, 1, f"127.0.0.1:{probe.free_port()}") == ("lo", "")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "no_such")
    interface, wrong = probe.ring(0, 1, f"127.0.0.1:{probe.free_port()}")
    assert interface == "no_such"
    assert "no_such" in wrong
