"""Try everything that several machines need of each other, and say how to mend what does not work."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from spikevision.cluster import network
from spikevision.cluster.node import PORT_OFFSETS, WORKER_PORTS
from spikevision.cluster.nodes import SAME_VERSIONS, storage_problems, version_problems
from spikevision.cluster.record import read_record
from spikevision.cluster.security import check_exposure, require_token
from spikevision.cluster.session import LOOPBACK, require_ray, session
from spikevision.cluster.storage import Storage
from spikevision.compat.doctor import Check

PATIENCE_S = 60.0
ALL_PORTS = "open all TCP ports between the machines (PyTorch chooses its own), and let them reach each other at these addresses"


def check(address: str = "auto", *, storage: str | None = None) -> Iterator[Check]:
    """Look at a cluster from one of its machines; findings come as they are made.

    Args:
        address: ``auto`` for the node that was started on this machine, or ``HOST:PORT`` of the head node.
        storage: Folder or URI where runs would go.

    Raises:
        ValueError: No node was started here, and no address is given.
    """
    require_ray()
    if address == "auto":
        record = read_record()
        if record is None:
            raise ValueError(
                "no node was started on this machine; `spikevision cluster start` starts one, or give --address "
                "HOST:PORT"
            )
        address = record.address
    host, port = network.split_address(address)
    try:
        network.enter(address)
        yield Check("head node", "ok", f"{address} answers")
        require_token(create=False)
        network.ask_head(address)
        yield Check("token", "ok", "accepted; readable for this user alone")
    except ValueError as error:
        yield Check("head node", "fail", *_split(str(error)))
        return
    yield _encryption(host)
    yield _dashboard(host)
    yield Check("ports", "ok", _ports(port))
    with session(address) as ray:
        yield from _machines(ray, storage)


def _split(message: str) -> tuple[str, str]:
    """A message as what was found and how to mend it."""
    found, _, remedy = message.partition(". ")
    return found, remedy


def _encryption(host: str) -> Check:
    if os.environ.get("RAY_USE_TLS") == "1":
        return Check(
            "TLS",
            "ok",
            "on for Ray's connections; those of PyTorch between workers are in plain text",
        )
    if network.is_loopback(host):
        return Check("TLS", "ok", "off; the cluster is on this machine alone")
    try:
        check_exposure(host)
    except ValueError as error:
        return Check("TLS", "fail", *_split(str(error)))
    remedy = "start the cluster again with --tls, unless nobody else can listen in this network"
    return Check("TLS", "warn", "off: token and data cross the network in plain text", remedy)


def _dashboard(host: str) -> Check:
    """The dashboard of a head on this machine: whoever reaches it with the token runs code."""
    record = read_record()
    port = int((record and record.dashboard or ":8265").rpartition(":")[2])
    with closing(socket.socket()) as probe:
        probe.settimeout(network.CONNECT_S)
        open_elsewhere = not network.is_loopback(host) and probe.connect_ex((host, port)) == 0
    if open_elsewhere:
        return Check(
            "dashboard", "warn", f"{host}:{port} answers", f"let it listen on {LOOPBACK} only"
        )
    return Check("dashboard", "ok", f"on {LOOPBACK}:{port} of the head node only")


def _ports(port: int) -> str:
    last = port + max(PORT_OFFSETS.values())
    first, end = WORKER_PORTS
    return f"Ray's own are {port}-{last} and {first}-{end}; PyTorch between workers takes any other"


def _machines(ray: Any, storage: str | None) -> Iterator[Check]:
    """What the nodes think of each other."""
    nodes = ray.nodes()
    dead = [node["NodeManagerAddress"] for node in nodes if not node["Alive"]]
    living = {node["NodeManagerAddress"]: node["NodeID"] for node in nodes if node["Alive"]}
    gone = sorted(set(dead) - set(living))
    detail = f"{len(living)} alive: {', '.join(living)}"
    if gone:
        detail += f"; gone: {', '.join(gone)}"
    remedy = "`spikevision cluster join` on a machine that is gone brings it back" if gone else ""
    yield Check("nodes", "warn" if gone else "ok", detail, remedy)
    yield _versions(ray)
    if storage is not None:
        yield from _storage(ray, storage)
    elif len(living) > 1:
        yield Check("storage", "warn", "not checked", "give --storage what the jobs will be given")
    if len(living) > 1:
        yield from _network(ray, living)


def _versions(ray: Any) -> Check:
    wrong = {node: other for node, other in version_problems(ray).items() if other}
    if not wrong:
        return Check("versions", "ok", "the same on all nodes")
    detail = "; ".join(f"{node}: {other}" for node, other in wrong.items())
    return Check("versions", "fail", detail, SAME_VERSIONS)


def _storage(ray: Any, uri: str) -> Iterator[Check]:
    try:
        storage = Storage(uri)
        storage.check_writable()
    except ValueError as error:
        yield Check("storage", "fail", str(error), "choose a place that can be written, with space")
        return
    problems = {node: what for node, what in storage_problems(ray, storage).items() if what}
    for node, what in problems.items():
        found, _, remedy = what.partition(": ")
        yield Check("storage", "fail", f"node {node} {found}", remedy)
    if not problems:
        yield Check("storage", "ok", f"{storage.location('')} is read and written by all nodes")


def _network(ray: Any, living: dict[str, str]) -> Iterator[Check]:
    """Whether the nodes reach each other, and whether PyTorch does over the interface that it would take."""
    from ray.exceptions import RayError

    from spikevision.cluster.probe import probes

    actors = probes(ray, living)

    def ask(answers: list) -> list:
        return ray.get(answers, timeout=PATIENCE_S)

    try:
        ports = ask([actor.listen.remote() for actor in actors.values()])
        everyone = list(zip(actors, ports, strict=True))
        silent = ask([actor.unreachable.remote(everyone) for actor in actors.values()])
        pairs = [f"{a} -> {b}" for a, missed in zip(actors, silent, strict=True) for b in missed]
        if pairs:
            yield Check("connections", "fail", f"no answer: {', '.join(pairs)}", ALL_PORTS)
        else:
            yield Check(
                "connections", "ok", "every node reaches every node on a port of its choice"
            )
        first = next(iter(actors))
        meeting = f"{first}:{ask([actors[first].free_port.remote()])[0]}"
        rings = ask(
            [
                actor.ring.remote(rank, len(actors), meeting)
                for rank, actor in enumerate(actors.values())
            ]
        )
        yield _ring(dict(zip(actors, rings, strict=True)))
    except RayError as error:
        lines = str(error).strip().splitlines()
        yield Check("connections", "fail", lines[-1] if lines else type(error).__name__, ALL_PORTS)
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _ring(answers: dict[str, tuple[str, str]]) -> Check:
    taken = ", ".join(f"{node} by {interface}" for node, (interface, _) in answers.items())
    wrong = [error for _, error in answers.values() if error]
    if not wrong:
        return Check("process group", "ok", f"PyTorch (gloo) connects {taken}")
    return Check(
        "process group",
        "fail",
        f"PyTorch (gloo) does not connect {taken}: {wrong[0]}",
        "each node should use the interface that has its address: unset GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME, or "
        "set them right, before `spikevision cluster start` and `join`",
    )
