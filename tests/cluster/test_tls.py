import datetime
import socket
import ssl
import threading

import pytest
from cryptography import x509

from spikevision.cluster import tls


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"):
        monkeypatch.setenv(name, "")
    return tmp_path


def serve(handle) -> int:
    """A server on loopback that treats one connection with ``handle``; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = server.accept()
        with connection:
            handle(connection)
        server.close()

    threading.Thread(target=run, daemon=True).start()
    return server.getsockname()[1]


def mutual(connection, folder) -> None:
    """What Ray does: show the certificate of the host, and want one of the same authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "127.0.0.1/host.crt", folder / "127.0.0.1/host.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.wrap_socket(connection, server_side=True).recv(1)
    except OSError:
        return


def test_one_authority_signs_for_each_host_and_only_this_user_can_read_it(home):
    tls.make_authority()
    first = (tls.folder() / "ca.crt").read_bytes()
    tls.make_authority()
    assert (tls.folder() / "ca.crt").read_bytes() == first
    tls.switch_on("10.0.0.7")
    files = [path for path in (home / ".ray/tls").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["ca.crt", "ca.key", "host.crt", "host.key"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (home / ".ray/tls").stat().st_mode & 0o777 == 0o700
    certificate = x509.load_pem_x509_certificate((tls.folder() / "10.0.0.7/host.crt").read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(first))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [str(found) for found in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["10.0.0.7", "127.0.0.1", "::1"]


def test_a_certificate_is_kept_until_its_last_month(monkeypatch):
    tls.make_authority()
    tls.switch_on("10.0.0.7")
    path = tls.folder() / "10.0.0.7/host.crt"
    kept = path.read_bytes()
    tls.switch_on("10.0.0.7")
    assert path.read_bytes() == kept
    monkeypatch.setattr(tls, "RENEW_DAYS", 366)
    tls.switch_on("10.0.0.7")
    assert path.read_bytes() != kept
    left = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    assert (left - datetime.datetime.now(datetime.UTC)).days == 364


def test_a_machine_without_the_authority_is_told_to_copy_it():
    with pytest.raises(ValueError, match=r"uses TLS, and .*Copy it: scp -rp HEAD:\.ray/tls"):
        tls.switch_on("10.0.0.7")


def test_the_files_of_a_users_own_authority_are_kept(monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_SERVER_CERT", "mine.crt")
    tls.switch_on("10.0.0.7")
    assert not tls.folder().exists()


def test_a_server_that_speaks_tls_is_told_from_one_that_does_not():
    plain = serve(lambda connection: connection.sendall(b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0"))
    assert not tls.is_spoken("127.0.0.1", plain)
    tls.make_authority()
    tls.switch_on("127.0.0.1")
    folder = tls.folder()
    assert tls.is_spoken("127.0.0.1", serve(lambda connection: mutual(connection, folder)))


def test_a_server_of_another_authority_is_named(monkeypatch, tmp_path):
    tls.make_authority()
    tls.switch_on("127.0.0.1")
    theirs = tls.folder()
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    monkeypatch.setenv("RAY_TLS_CA_CERT", "")
    tls.make_authority()
    port = serve(lambda connection: mutual(connection, theirs))
    with pytest.raises(ValueError, match="did not sign: copy ~/.ray/tls"):
        tls.is_spoken("127.0.0.1", port)
