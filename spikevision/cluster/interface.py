"""The network interface by which the nodes see each other."""

import os

import psutil
import ray

VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def choose_interface() -> None:
    """Set ``GLOO_SOCKET_IFNAME`` and ``NCCL_SOCKET_IFNAME`` in this process, unless the user did."""
    name = interface_of(ray.util.get_node_ip_address())
    for variable in VARIABLES:
        if name:
            os.environ.setdefault(variable, name)


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an IP address; None when none has it."""
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] == address for entry in entries):
            return name
    return None
