"""Which machines a cluster has, and what of it is free."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One machine.

    Args:
        address: Its address in the cluster.
        alive: Whether it answers.
        head: Whether it is the head node.
        cpus: CPUs that Ray counts with.
        gpus: GPUs that Ray counts with.
        memory_gib: Memory that Ray counts with.
    """

    address: str
    alive: bool
    head: bool
    cpus: float
    gpus: float
    memory_gib: float


def nodes_of(ray: Any) -> list[NodeStatus]:
    """The machines of the cluster that we are connected to, the head first."""
    found = []
    for node in ray.nodes():
        resources = node["Resources"]
        found.append(
            NodeStatus(
                address=node["NodeManagerAddress"],
                alive=node["Alive"],
                head="node:__internal_head__" in resources,
                cpus=resources.get("CPU", 0.0),
                gpus=resources.get("GPU", 0.0),
                memory_gib=resources.get("memory", 0.0) / 2**30,
            )
        )
    return sorted(found, key=lambda node: (not node.head, not node.alive, node.address))


def free_of(ray: Any) -> tuple[float, float]:
    """CPUs and GPUs that nobody uses."""
    free = ray.available_resources()
    return free.get("CPU", 0.0), free.get("GPU", 0.0)
