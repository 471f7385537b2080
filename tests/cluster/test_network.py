import os

import pytest

from spikevision.cluster import network, tls


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_USE_TLS", "")
    monkeypatch.setenv("RAY_TLS_SERVER_CERT", "")
    for name in ("RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def head(monkeypatch):
    """Set whether the head node at any address speaks TLS."""

    def speaks(encrypted: bool) -> None:
        monkeypatch.setattr(tls, "is_spoken", lambda host, port: encrypted)

    return speaks


def test_an_address_has_a_host_and_a_port():
    assert network.split_address("head:6379") == ("head", 6379)
    assert network.split_address("[::1]:6379") == ("::1", 6379)
    with pytest.raises(ValueError, match="takes local, auto or HOST:PORT, got 'head'"):
        network.split_address("head")


def test_tls_is_switched_on_where_the_head_speaks_it(head, monkeypatch):
    tls.make_authority()
    head(True)
    assert network.enter("127.0.0.1:6379") == "127.0.0.1"
    assert os.environ["RAY_USE_TLS"] == "1"
    assert os.environ["RAY_TLS_SERVER_CERT"].endswith("/127.0.0.1/host.crt")


def test_a_machine_without_the_authority_of_an_encrypted_cluster_hears_what_to_copy(head):
    head(True)
    with pytest.raises(ValueError, match="Copy it: scp"):
        network.enter("127.0.0.1:6379")


def test_a_plain_cluster_is_not_used_by_one_who_asks_for_tls(head, monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    head(False)
    with pytest.raises(ValueError, match="does not use TLS"):
        network.enter("127.0.0.1:6379")


def test_a_public_address_in_plain_text_is_refused_also_by_one_who_has_an_authority(
    head, monkeypatch
):
    head(False)
    monkeypatch.setattr(network, "_address_towards", lambda host, port: "10.0.0.2")
    tls.make_authority()
    with pytest.raises(ValueError, match="8.8.8.8 is a public address"):
        network.enter("8.8.8.8:6379")


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False)]
)
def test_loopback_is_told_from_other_addresses(host, alone):
    assert network.is_loopback(host) is alone
