"""Reach the head node of a cluster, or say within seconds why not."""

import ipaddress
import os
import socket
from typing import Any

from spikevision.cluster import tls
from spikevision.cluster.security import check_exposure, require_token

CONNECT_S = 5.0


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises:
        ValueError: It has another form.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise ValueError(f"--address takes local, auto or HOST:PORT, got {address!r}")
    return host.strip("[]"), int(port)


def enter(address: str) -> str:
    """Make sure within seconds that a head node answers, and speak TLS with it when it does.

    Returns:
        The address of this machine by which it reaches the head.

    Raises:
        ValueError: It does not answer, or only in plain text across the internet, or its TLS is not ours.
    """
    host, port = split_address(address)
    prepared = os.environ.get("RAY_USE_TLS") == "1" or (tls.folder() / "ca.crt").is_file()
    if not prepared:
        check_exposure(host)
    try:
        encrypted = tls.is_spoken(host, port)
        ours = _address_towards(host, port)
    except OSError as error:
        raise ValueError(
            f"cannot reach {address}: {error}. Is Ray's head node running there (its port is 6379 unless it was told "
            f"otherwise), and does a firewall let TCP through?"
        ) from error
    if encrypted:
        tls.switch_on(ours)
    elif os.environ.get("RAY_USE_TLS") == "1":
        raise ValueError(f"RAY_USE_TLS=1 is set here, but the Ray at {address} does not use TLS")
    check_exposure(host)
    return ours


def _address_towards(host: str, port: int) -> str:
    """The address of this machine from which packets to another one leave."""
    family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)  # sends nothing
        return str(probe.getsockname()[0])


def ask_head(address: str) -> Any:
    """The head node's store of keys and values, once it has answered; Ray's own start would try for a long time.

    Raises:
        ValueError: It refuses us, or does not answer.
    """
    require_token(create=False)
    import_ray()
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import RayError

    try:
        client = GcsClient(address=address)
        client.internal_kv_exists(b"spikevision", namespace=None, timeout=CONNECT_S)
    except (RayError, RuntimeError) as error:
        raise ValueError(f"the Ray at {address} refuses us: {error}") from error
    return client


def import_ray() -> Any:
    """Ray, aware of the token also where something else had imported it before."""
    import ray
    from ray._raylet import Config  # type: ignore[attr-defined]

    Config.initialize("")
    return ray


def is_loopback(host: str) -> bool:
    """Whether an address or name stands for this machine alone."""
    return all(
        ipaddress.ip_address(info[4][0]).is_loopback for info in socket.getaddrinfo(host, None)
    )
