"""Ray for one job: our own on this machine, ended with the job, or a running one to attach to."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from spikevision.cluster.security import require_token

LOOPBACK = "127.0.0.1"
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
def session(address: str, *, cpus: int | None = None, show_logs: bool = True) -> Iterator[Any]:
    """Ray, started or attached to, with token authentication in any case.

    A process that is connected already stays so, whatever the address: its Ray is used and left running.

    Args:
        address: ``local``, ``auto`` or ``HOST:PORT``.
        cpus: CPUs that our own Ray counts with; None for those of the machine.
        show_logs: Whether what the processes print appears here.

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
    from spikevision.cluster import network
    from spikevision.cluster.record import read_record

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if address == "auto":
        record = None if os.environ.get("RAY_ADDRESS") else read_record()  # set in Ray's jobs
        address = record.address if record else address
    if address not in ("local", "auto"):
        network.enter(address)
    require_token(create=address == "local")
    ray = network.import_ray()
    try:
        if address == "local":
            _start(ray, cpus, show_logs)
        else:
            _attach(ray, address, show_logs)
        yield ray
    finally:
        ray.shutdown()  # ends our own Ray; from another one it only takes leave


def _start(ray: Any, cpus: int | None, show_logs: bool) -> None:
    """Start a Ray of our own that other machines have no business with."""
    ray.init(
        address="local",
        num_cpus=cpus,
        _node_ip_address=LOOPBACK,
        include_dashboard=True,  # the State API, which frees what a stopped trial held, is part of it
        dashboard_host=LOOPBACK,
        dashboard_port=_free_port(),
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=show_logs,
        logging_level="ERROR",
    )


def _attach(ray: Any, address: str, show_logs: bool) -> None:
    from spikevision.cluster.network import ask_head

    try:
        if address != "auto":
            ask_head(address)
        ray.init(address=address, log_to_driver=show_logs, logging_level="ERROR")
    except ConnectionError as error:
        if address == "auto":
            raise ValueError(
                "--address auto found no Ray on this machine; start one with `spikevision cluster start`, or use "
                "--address local, which starts and ends its own"
            ) from error
        raise ValueError(f"no Ray answers at {address}: {error}") from error
    except (RuntimeError, ray.exceptions.RayError) as error:  # versions, tokens
        raise ValueError(f"cannot join the Ray at {address}: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
