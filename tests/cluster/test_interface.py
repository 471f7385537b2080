import pytest

pytest.importorskip("ray")

from spikevision.cluster.interface import interface_of  # noqa: E402


def test_the_interface_of_an_address_is_found():
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("203.0.113.9") is None
