"""Ray's process group for PyTorch, on the network interface by which the nodes see each other."""

import os
from dataclasses import dataclass

import psutil
import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend


@dataclass
class NodeAwareTorchConfig(TorchConfig):
    """Ray's ``TorchConfig``, whose workers talk over the interface that carries their node's Ray address.

    gloo by itself looks up the host's name, which is 127.0.0.1 on a stock Debian: two hosts never meet.
    """

    timeout_s: int = 300

    @property
    def backend_cls(self) -> type:
        """The backend that Ray builds from this config."""
        return _NodeAwareBackend


class _NodeAwareBackend(_TorchBackend):
    def on_start(self, worker_group, backend_config):  # type: ignore[no-untyped-def]
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)


def choose_interface() -> None:
    """Set ``GLOO_SOCKET_IFNAME`` and ``NCCL_SOCKET_IFNAME`` in this process, unless the user did."""
    name = interface_of(ray.util.get_node_ip_address())
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if name:
            os.environ.setdefault(variable, name)


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an IP address; None when none has it."""
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] == address for entry in entries):
            return name
    return None
