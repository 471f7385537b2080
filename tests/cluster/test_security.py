import os
import socket

import pytest

from spikevision.cluster.security import check_exposure, require_token


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "secret" / "token"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def test_a_token_is_made_for_this_user_alone_and_kept(tmp_path):
    require_token(create=True)
    path = tmp_path / "secret" / "token"
    token = path.read_text()
    assert len(token) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.environ["RAY_AUTH_MODE"] == "token"
    require_token(create=True)
    assert path.read_text() == token


def test_without_a_token_no_cluster_is_attached_to():
    with pytest.raises(ValueError, match="no token: .*head node"):
        require_token(create=False)


def test_a_token_open_to_others_is_closed(tmp_path):
    path = tmp_path / "secret" / "token"
    path.parent.mkdir()
    path.write_text("x" * 64)
    path.chmod(0o644)
    require_token(create=False)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_token_file_is_refused(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "token").touch()
    with pytest.raises(ValueError, match="is empty"):
        require_token(create=True)


def test_a_token_in_the_environment_needs_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 64)
    require_token(create=False)
    assert not (tmp_path / "secret").exists()


def test_a_public_address_needs_tls(monkeypatch):
    with pytest.raises(ValueError, match="8.8.8.8 is a public address .*plain text"):
        check_exposure("8.8.8.8")
    monkeypatch.setenv("RAY_USE_TLS", "1")
    check_exposure("8.8.8.8")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1"])
def test_private_addresses_do_not(host):
    check_exposure(host)


def test_a_name_stands_for_all_its_addresses(monkeypatch):
    found = [(0, 0, 0, "", (address, 0)) for address in ("10.0.0.1", "9.9.9.9")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    with pytest.raises(ValueError, match=r"\(9\.9\.9\.9\)"):
        check_exposure("head.example")
