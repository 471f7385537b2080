"""What each node finds out about the others for ``cluster check``."""

import datetime
import os
import socket
from typing import Any

from spikevision.cluster.interface import VARIABLES, choose_interface

CONNECT_S = 3.0
RING_S = 20.0


class Probe:
    """In an actor on one node.

    Args:
        address: Address of that node.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._listener: socket.socket | None = None

    def listen(self) -> int:
        """Listen on a port that the system chooses, as PyTorch does; gives its number."""
        self._listener = socket.create_server((self._address, 0))
        return int(self._listener.getsockname()[1])

    def unreachable(self, others: list[tuple[str, int]]) -> list[str]:
        """Addresses among the others that do not answer on their port."""
        found = []
        for address, port in others:
            try:
                socket.create_connection((address, port), timeout=CONNECT_S).close()
            except OSError:
                found.append(address)
        return found

    def free_port(self) -> int:
        """A port that nobody uses here."""
        with socket.create_server((self._address, 0)) as server:
            return int(server.getsockname()[1])

    def ring(self, rank: int, size: int, meeting: str) -> tuple[str, str]:
        """Sum ones over a gloo group of all nodes, over the interface that training would take.

        Args:
            rank: Place of this node.
            size: Number of nodes.
            meeting: ``HOST:PORT`` where the first one waits.

        Returns:
            The interface, and what went wrong (empty when nothing did).
        """
        import torch
        from torch import distributed

        choose_interface()
        interface = os.environ.get(VARIABLES[0], "none")
        try:
            distributed.init_process_group(
                "gloo",
                init_method=f"tcp://{meeting}",
                rank=rank,
                world_size=size,
                timeout=datetime.timedelta(seconds=RING_S),
            )
            ones = torch.ones(1)
            distributed.all_reduce(ones)
            wrong = "" if ones.item() == size else f"{size} ones sum up to {ones.item()}"
        except (RuntimeError, ValueError) as error:
            wrong = str(error).strip().splitlines()[0][:200]
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
        return interface, wrong


def probes(ray: Any, addresses: dict[str, str]) -> dict[str, Any]:
    """A probe on each node.

    Args:
        ray: The module, connected.
        addresses: Address of a node -> its id.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    found = {}
    for address, node_id in addresses.items():
        here = NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
        kind = ray.remote(num_cpus=0, scheduling_strategy=here)(Probe)
        found[address] = kind.remote(address)
    return found
