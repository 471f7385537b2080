"""Ask every machine of a cluster, so that a run does not find out on its third machine what is wrong."""

import platform
import secrets
from collections.abc import Callable
from importlib import metadata
from typing import Any

from spikevision.cluster.storage import Storage

COMPARED = ("spikevision", "torch", "mmengine", "mmdet", "mmsegmentation", "mmpretrain", "numpy")
ANSWER_S = 120.0  # a busy machine starts a process in tens of seconds
SAME_VERSIONS = "Install the same on all machines"


def on_each_node(ray: Any, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """What a function gives on each living node.

    Args:
        ray: The module, connected.
        function: What to run; takes no CPU of the cluster.
        args: Its arguments.

    Returns:
        Address of a node -> answer.

    Raises:
        ValueError: A node does not answer.
    """
    from ray.exceptions import GetTimeoutError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            task = ray.remote(num_cpus=0, scheduling_strategy=here)(function)
            asked[node["NodeManagerAddress"]] = task.remote(*args)
    answers = {}
    for address, answer in asked.items():
        try:
            answers[address] = ray.get(answer, timeout=ANSWER_S)
        except GetTimeoutError as error:
            raise ValueError(
                f"node {address} does not answer: `spikevision cluster status` says whether it is alive"
            ) from error
    return answers


def check_nodes(ray: Any, storage: Storage) -> None:
    """Make sure that all machines have our versions and share the storage.

    Raises:
        ValueError: One does not; says which, and how to mend it.
    """
    for address, problem in storage_problems(ray, storage).items():
        if problem:
            raise ValueError(f"node {address} {problem}")
    for address, other in version_problems(ray).items():
        if other:
            raise ValueError(f"node {address} has other versions: {other}. {SAME_VERSIONS}")


def storage_problems(ray: Any, storage: Storage) -> dict[str, str]:
    """What keeps each node from using a storage that we can write, and how to mend it; empty where nothing does."""
    name, content = f".spikevision_{secrets.token_hex(4)}", secrets.token_bytes(16)
    storage.write(name, content)
    try:
        answers = on_each_node(ray, use_storage, storage.uri, name)
    finally:
        storage.remove(name)
    found = {}
    for address, (read, written) in answers.items():
        found[address] = ""
        if read != content:
            found[address] = (
                f"does not see the storage {storage.uri}: give --storage a folder that is mounted on all machines "
                f"under this path, or an object storage such as s3://bucket/path"
            )
        elif written:
            found[address] = (
                f"cannot write to the storage {storage.uri}: {written}. Give the user that runs Ray there the right "
                f"to, and space"
            )
    return found


def version_problems(ray: Any) -> dict[str, str]:
    """How the versions of each node differ from ours; empty where they do not."""
    ours = library_versions()
    answers = on_each_node(ray, library_versions)
    return {address: "; ".join(differences(theirs, ours)) for address, theirs in answers.items()}


def library_versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    found = {}
    for library in COMPARED:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "missing"
    return found


def all_versions() -> dict[str, str]:
    """The same, with what the machines need to understand each other."""
    own = {"python": platform.python_version(), "ray": metadata.version("ray")}
    return {**own, **library_versions()}


def differences(theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    """What differs between the versions of two machines, in words."""
    return [
        f"{key} {theirs.get(key, 'missing')} there, {ours[key]} here"
        for key in ours
        if theirs.get(key) != ours[key]
    ]


def use_storage(uri: str, name: str) -> tuple[bytes | None, str]:
    """On a node: the content of a file of the storage, and what is wrong with writing there."""
    try:
        storage = Storage(uri)
        content = storage.read(name)
    except (OSError, ValueError):
        return None, ""
    try:
        storage.check_writable()
    except ValueError as error:
        return content, str(error)
    return content, ""
