"""TLS between the machines of a cluster: an authority of its own, and a certificate of each machine.

Ray's connections are mutual: whoever has no certificate of this authority gets no answer. The folder ``~/.ray/tls``
of the first machine is copied to the others, and each makes its own certificate from it.
"""

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = Path("~/.ray/tls")
AUTHORITY_DAYS = 3650
HOST_DAYS = 365
RENEW_DAYS = 30
HANDSHAKE_S = 5.0


def folder() -> Path:
    """Where the authority of this user's clusters is."""
    return FOLDER.expanduser()


def make_authority() -> None:
    """Make the authority, unless it is there."""
    if (folder() / "ca.crt").is_file():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spikevision cluster")])
    builder = _certificate(name, name, key.public_key(), days=AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    _write_whole(
        folder(), {"ca.crt": _pem(builder.sign(key, hashes.SHA256())), "ca.key": _pem(key)}
    )


def switch_on(host: str) -> None:
    """Switch TLS on for this process and all that it starts, with a certificate for one address of this machine.

    A user who set ``RAY_USE_TLS=1`` and files of an authority of their own keeps them.

    Args:
        host: Address by which the other machines know this one.

    Raises:
        ValueError: The authority is not here, or not whole.
    """
    given = os.environ.get("RAY_TLS_SERVER_CERT")
    if os.environ.get("RAY_USE_TLS") == "1" and given and folder() not in Path(given).parents:
        return
    own = folder() / host
    if _days_left(own / "host.crt") < RENEW_DAYS:
        shutil.rmtree(own, ignore_errors=True)
        _issue(host, own)
    os.environ["RAY_USE_TLS"] = "1"
    os.environ["RAY_TLS_SERVER_CERT"] = str(own / "host.crt")
    os.environ["RAY_TLS_SERVER_KEY"] = str(own / "host.key")
    os.environ["RAY_TLS_CA_CERT"] = str(folder() / "ca.crt")


def _issue(host: str, own: Path) -> None:
    """Make the certificate of a machine."""
    try:
        authority = x509.load_pem_x509_certificate((folder() / "ca.crt").read_bytes())
        secret = (folder() / "ca.key").read_bytes()
        signer = serialization.load_pem_private_key(secret, password=None)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the cluster uses TLS, and {folder()} of its first machine (ca.crt and ca.key) is not here whole: "
            f"{error}. Copy it: scp -rp HEAD:.ray/tls ~/.ray/"
        ) from error
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = _certificate(name, authority.subject, key.public_key(), days=HOST_DAYS)
    names = [*dict.fromkeys([host, socket.gethostname(), "localhost", "127.0.0.1", "::1"])]
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False
    )
    _write_whole(
        own, {"host.crt": _pem(builder.sign(signer, hashes.SHA256())), "host.key": _pem(key)}
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(thing: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    return thing.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_whole(target: Path, files: dict[str, bytes]) -> None:
    """Write the files of a folder for this user alone, all at once; one that came first wins."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=target.parent))  # mode 0700
    for name, content in files.items():
        path = made / name
        path.touch(mode=0o600)
        path.write_bytes(content)
    try:
        made.rename(target)
    except OSError:
        shutil.rmtree(made)
        if not target.is_dir():
            raise


def _days_left(certificate: Path) -> float:
    """How long a certificate is valid; 0 when it is missing."""
    try:
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return 0.0
    return (end - datetime.datetime.now(datetime.UTC)).total_seconds() / 86400


def is_spoken(host: str, port: int) -> bool:
    """Whether a server wants TLS.

    Raises:
        ValueError: It does, and shows a certificate of another authority than ours.
        OSError: Nobody answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    context.check_hostname = False
    authority = Path(os.environ.get("RAY_TLS_CA_CERT") or folder() / "ca.crt")
    if authority.is_file():
        context.load_verify_locations(authority)
    else:
        context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=HANDSHAKE_S) as plain:
        try:
            context.wrap_socket(plain).close()
        except ssl.SSLCertVerificationError as error:
            raise ValueError(
                f"{host}:{port} shows a certificate that {authority} did not sign: copy {FOLDER} from its first "
                f"machine again"
            ) from error
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")  # it spoke TLS, but not with us
        except OSError:
            return False
    return True
