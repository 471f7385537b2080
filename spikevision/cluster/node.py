"""Start Ray on this machine for others to use, and end exactly that again."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from spikevision.cluster import network, tls
from spikevision.cluster.nodes import SAME_VERSIONS, all_versions, differences
from spikevision.cluster.record import MARK, NodeRecord, end, family, marked, read_record, running
from spikevision.cluster.security import check_exposure, require_token
from spikevision.cluster.session import LOOPBACK, SETTINGS, require_ray

VERSIONS = b"spikevision_versions"
# a machine that is gone is noticed after 20 s at the latest, by Ray's own settings after 65 s
NODE_SETTINGS = {
    **SETTINGS,
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_raylet_start_wait_time_s": "60",
    "RAY_START_HOOK": "spikevision.cluster.start_hook.without_client_server",
}
# offsets from the head node's port; the same on all machines, so that a firewall can be told
PORT_OFFSETS = {
    "node-manager-port": 1,
    "object-manager-port": 2,
    "runtime-env-agent-port": 3,
    "dashboard-agent-grpc-port": 4,
    "metrics-export-port": 5,
    "dashboard-agent-listen-port": 6,
}
WORKER_PORTS = (10002, 19999)
START_S = 300
TRIES = 3
TIMED_OUT = "timed out during startup"


def start(
    host: str = LOOPBACK,
    *,
    port: int = 6379,
    dashboard_port: int = 8265,
    use_tls: bool = False,
    cpus: int | None = None,
    gpus: int | None = None,
) -> NodeRecord:
    """Start the head node of a cluster on this machine.

    Args:
        host: Address of this machine by which the others reach it; 127.0.0.1 keeps the cluster to this machine.
        port: Where the head listens; the five ports above it are used too.
        dashboard_port: Port of the dashboard, on 127.0.0.1 in any case.
        use_tls: Encrypt Ray's connections, and let in only those who have a certificate.
        cpus: CPUs to count with; 0 keeps work off this machine, None takes those of the machine.
        gpus: GPUs to count with.

    Raises:
        ValueError: A node runs here already, the address is not ours, taken or public without TLS, or Ray did not
            start.
    """
    _check_free(host, port)
    require_token(create=True)
    if use_tls:
        tls.make_authority()
        tls.switch_on(host)
    check_exposure(host)
    words = ["--head", "--port", str(port), "--include-dashboard", "true"]
    words += ["--dashboard-host", LOOPBACK, "--dashboard-port", str(dashboard_port)]
    address = f"{host}:{port}"
    mark = _start_ray([*words, *_common(host, port, cpus, gpus)])
    record = NodeRecord(
        address=address,
        host=host,
        head=True,
        dashboard=f"http://{LOOPBACK}:{dashboard_port}",
        mark=mark,
        processes=_processes(mark),
    )
    record.write()
    network.ask_head(address).internal_kv_put(
        VERSIONS, json.dumps(all_versions()).encode(), True, None
    )
    return record


def join(
    address: str, *, host: str | None = None, cpus: int | None = None, gpus: int | None = None
) -> NodeRecord:
    """Let this machine work for the cluster of a head node.

    Args:
        address: ``HOST:PORT`` of the head node.
        host: Address of this machine; None takes the one from which it reaches the head.
        cpus: CPUs to count with; None takes those of the machine.
        gpus: GPUs to count with.

    Raises:
        ValueError: A node runs here already, the head cannot be reached or refuses us, this machine has other versions,
            or Ray did not start.
    """
    head, port = network.split_address(address)
    host = host or network.enter(address)
    _check_free(host, port + 1)
    theirs = network.ask_head(address).internal_kv_get(VERSIONS, None)
    wrong = differences(json.loads(theirs), all_versions()) if theirs else []
    if wrong:
        raise ValueError(
            f"this machine has other versions than the head node {head}: {'; '.join(wrong)}. {SAME_VERSIONS}"
        )
    mark = _start_ray(["--address", address, *_common(host, port, cpus, gpus)])
    record = NodeRecord(
        address=address,
        host=host,
        head=False,
        dashboard=None,
        mark=mark,
        processes=_processes(mark),
    )
    record.write()
    return record


def stop() -> int:
    """End the Ray that ``start`` or ``join`` started on this machine, and no other.

    Returns:
        How many processes were ended.

    Raises:
        ValueError: There is none.
    """
    record = read_record()
    if record is None:
        raise ValueError("`spikevision cluster start` or `join` started nothing that runs here now")
    return end(running(record))


def _check_free(host: str, port: int) -> None:
    """Find out early what Ray would report late."""
    require_ray()
    running = read_record()
    if running is not None:
        raise ValueError(
            f"a node of the cluster {running.address} runs on this machine already; `spikevision cluster stop` ends it"
        )
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host}, port {port}: {error}. Is the address one of this machine, and is no other Ray "
            f"running here? Choose another with --host, or --port"
        ) from error


def _common(host: str, port: int, cpus: int | None, gpus: int | None) -> Iterator[str]:
    """Words for both kinds of node."""
    yield from ("--node-ip-address", host)
    for name, offset in PORT_OFFSETS.items():
        yield from (f"--{name}", str(port + offset))
    yield from (
        "--min-worker-port",
        str(WORKER_PORTS[0]),
        "--max-worker-port",
        str(WORKER_PORTS[1]),
    )
    for name, count in (("--num-cpus", cpus), ("--num-gpus", gpus)):
        if count is not None:
            yield from (name, str(count))


def _start_ray(words: list[str]) -> str:
    """Run ``ray start``; gives the mark of the processes that it left."""
    for _ in range(TRIES):  # Ray gives its own helpers 15 s, which a busy machine may miss
        mark = secrets.token_hex(8)
        failure = ""
        try:
            failure = _run_ray_start(words, mark)
            if not failure:
                return mark
        finally:  # also after Ctrl-C
            if failure or sys.exc_info()[0]:
                end(marked(mark))
        if TIMED_OUT not in failure:
            break
    raise ValueError(f"Ray did not start: {failure}")


def _run_ray_start(words: list[str], mark: str) -> str:
    """What went wrong; empty when nothing did."""
    environment = {
        **NODE_SETTINGS,
        **os.environ,
        MARK: mark,
        # whoever asks for `python` in a job means this one
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {START_S} s"
    return "" if done.returncode == 0 else _last_line(done.stderr or done.stdout)


def _processes(mark: str) -> list[tuple[int, float]]:
    """Number and start time of the processes of a node, while their marks can still be read."""
    return [(process.pid, process.create_time()) for process in family(marked(mark))]


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["no message"])[-1]
