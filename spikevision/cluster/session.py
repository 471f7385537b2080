"""Ray for one job: our own on this machine, ended with the job, or a running one to attach to."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from spikevision.cluster.security import check_exposure, require_token

LOOPBACK = "127.0.0.1"
CONNECT_S = 5.0
OBJECT_STORE_BYTES = 1 << 30
# a setting of the user's own environment wins
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative data paths of a config mean the folder of the user
}


def require_ray() -> None:
    """Make sure that Ray is installed.

    Raises:
        ImportError: It is not; says what to install.
    """
    if find_spec("ray") is None:
        raise ImportError("jobs on more than this process need Ray: pip install 'spikevision[ray]'")


@contextmanager
def session(address: str, *, cpus: int | None = None) -> Iterator[Any]:
    """Ray, started or attached to, with token authentication in any case.

    A process that is connected already stays so, whatever the address: its Ray is used and left running.

    Args:
        address: ``local``, ``auto`` or ``HOST:PORT``.
        cpus: CPUs that our own Ray counts with; None for those of the machine.

    Yields:
        The ``ray`` module.

    Raises:
        ValueError: The address cannot be reached or is public without TLS, or the token is missing or wrong, or the
            versions differ.
        ImportError: Ray is not installed.
    """
    require_ray()
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield sys.modules["ray"]
        return
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if address not in ("local", "auto"):
        _check_reachable(address)
    require_token(create=address == "local")
    ray = _import_ray()
    try:
        if address == "local":
            _start(ray, cpus)
        else:
            _attach(ray, address)
        yield ray
    finally:
        ray.shutdown()  # ends our own Ray; from another one it only takes leave


def _import_ray() -> Any:
    """Ray, aware of the token also where something else had imported it before."""
    import ray
    from ray._raylet import Config  # type: ignore[attr-defined]

    Config.initialize("")
    return ray


def _start(ray: Any, cpus: int | None) -> None:
    """Start a Ray of our own that other machines have no business with."""
    ray.init(
        address="local",
        num_cpus=cpus,
        _node_ip_address=LOOPBACK,
        include_dashboard=True,  # the State API, which frees what a stopped trial held, is part of it
        dashboard_host=LOOPBACK,
        dashboard_port=_free_port(),
        object_store_memory=OBJECT_STORE_BYTES,
        logging_level="ERROR",
    )


def _attach(ray: Any, address: str) -> None:
    try:
        if address != "auto":
            _check_token(address)
        ray.init(address=address, logging_level="ERROR")
    except ConnectionError as error:
        if address == "auto":
            raise ValueError(
                "--address auto found no Ray on this machine; start one with `ray start --head`, or use "
                "--address local, which starts and ends its own"
            ) from error
        raise ValueError(f"no Ray answers at {address}: {error}") from error
    except (RuntimeError, ray.exceptions.RayError) as error:  # versions, tokens
        raise ValueError(f"cannot join the Ray at {address}: {error}") from error


def _check_reachable(address: str) -> None:
    """Say within seconds what Ray finds out after minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise ValueError(f"--address takes local, auto or HOST:PORT, got {address!r}")
    check_exposure(host)
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise ValueError(
            f"cannot reach {address}: {error}. Is Ray's head node running there (its port is 6379 unless it was told "
            f"otherwise), and does a firewall let TCP through?"
        ) from error


def _check_token(address: str) -> None:
    """Ask the head node one question; Ray's own start would go on trying for a long time."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import RayError

    try:
        GcsClient(address=address).internal_kv_exists(
            b"spikevision", namespace=None, timeout=CONNECT_S
        )
    except (RayError, RuntimeError) as error:
        raise ValueError(f"the Ray at {address} refuses us: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
