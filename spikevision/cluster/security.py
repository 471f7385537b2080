"""The token without which nobody talks to our Ray, and where Ray may listen.

Whoever has the token can run code on every machine of the cluster. Ray sends it in plain text unless TLS is on.
"""

import ipaddress
import os
import secrets
import socket
from pathlib import Path

from mmengine.logging import print_log

TOKEN = "RAY_AUTH_TOKEN"
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
DEFAULT_TOKEN = Path("~/.ray/auth_token")


def require_token(*, create: bool) -> None:
    """Switch token authentication on for this process and all that it starts.

    The token is the one of ``RAY_AUTH_TOKEN``, else the file of ``RAY_AUTH_TOKEN_PATH``, else ``~/.ray/auth_token``.
    Call it before Ray is imported.

    Args:
        create: Make the file when it is missing: for a Ray of our own, not for one to attach to.

    Raises:
        ValueError: No token, and none may be made; or an empty one.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    if os.environ.get(TOKEN):
        return
    path = Path(os.environ.get(TOKEN_PATH) or DEFAULT_TOKEN).expanduser()
    if not path.is_file():
        if not create:
            raise ValueError(
                f"no token: the cluster asks for the one that its head node has. Copy that file to {path} (mode "
                f"0600), or set {TOKEN_PATH} to where it is"
            )
        write_token(path)
    _close_to_others(path)
    if not path.read_text().strip():
        raise ValueError(f"the token file {path} is empty")
    os.environ[TOKEN_PATH] = str(path)


def write_token(path: Path) -> None:
    """Write a new random token of 256 bits that only this user can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))


def _close_to_others(path: Path) -> None:
    """Take the rights of others from a token file; Ray itself writes it readable for all."""
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
        print_log(f"{path} was open to other users of this machine; it is 0600 now", "current")


def check_exposure(host: str) -> None:
    """Refuse to talk to, or to listen on, a public address in plain text.

    Raises:
        ValueError: The address is public and TLS is off, or the name is unknown.
    """
    if os.environ.get("RAY_USE_TLS") == "1":
        return
    public = public_addresses(host)
    if public:
        raise ValueError(
            f"{host} is a public address ({', '.join(public)}): token and data would cross the internet in plain "
            f"text. Use a private network or a tunnel, or start the cluster with --tls and copy ~/.ray/tls"
        )


def public_addresses(host: str) -> list[str]:
    """Addresses of a host that the internet may reach.

    Raises:
        ValueError: The name is unknown.
    """
    try:
        found = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ValueError(f"cannot find the address of {host!r}: {error}") from error
    return sorted(str(address) for address in found if not address.is_private)
