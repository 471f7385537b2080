"""Ask every machine of a cluster, so that a run does not find out on its third machine what is wrong."""

import secrets
from collections.abc import Callable
from importlib import metadata
from typing import Any

from spikevision.cluster.storage import Storage

COMPARED = ("spikevision", "torch", "mmengine", "mmdet", "mmsegmentation", "mmpretrain", "numpy")
ANSWER_S = 60.0


def on_each_node(ray: Any, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """What a function gives on each living node.

    Args:
        ray: The module, connected.
        function: What to run; takes no CPU of the cluster.
        args: Its arguments.

    Returns:
        Address of a node -> answer.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=here)(function)
            asked[node["NodeManagerAddress"]] = task.remote(*args)
    return {address: ray.get(answer, timeout=ANSWER_S) for address, answer in asked.items()}


def check_nodes(ray: Any, storage: Storage) -> None:
    """Make sure that all machines have our versions and see the same storage.

    Raises:
        ValueError: One has not; says which, and how to mend it.
    """
    name, content = f".spikevision_{secrets.token_hex(4)}", secrets.token_bytes(16)
    storage.write(name, content)
    try:
        answers = on_each_node(ray, _look, storage.uri, name)
    finally:
        storage.remove(name)
    ours = library_versions()
    for address, (found, theirs) in answers.items():
        if found != content:
            raise ValueError(
                f"node {address} does not see the storage {storage.uri}: give --storage a folder that is mounted on "
                f"all machines under this path, or an object storage such as s3://bucket/path"
            )
        other = [
            f"{key} {theirs[key]} there, {ours[key]} here"
            for key in ours
            if theirs[key] != ours[key]
        ]
        if other:
            raise ValueError(
                f"node {address} has other versions: {'; '.join(other)}. Install the same on all machines"
            )


def library_versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    found = {}
    for library in COMPARED:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "missing"
    return found


def _look(uri: str, name: str) -> tuple[bytes | None, dict[str, str]]:
    """On a node: the content of a file of the storage, and the versions."""
    try:
        content = Storage(uri).read(name)
    except (OSError, ValueError):
        content = None
    return content, library_versions()
