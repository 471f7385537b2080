"""Commands that run on a cluster as Ray jobs: sent, listed, followed, stopped."""

import asyncio
import logging
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from spikevision.cluster.record import read_record
from spikevision.cluster.security import public_addresses, require_token
from spikevision.cluster.session import LOOPBACK, require_ray

DASHBOARD = f"http://{LOOPBACK}:8265"
CONNECT_S = 5.0
PROGRAM = ("-m", "spikevision.cli.main")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command on the cluster.

    Args:
        name: Its name.
        status: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        command: What runs.
        message: What Ray says about its state.
    """

    name: str
    status: str
    command: str
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


class Jobs:
    """The jobs of a cluster.

    Args:
        dashboard: URL of its dashboard; None takes that of the head node on this machine.

    Raises:
        ValueError: Nobody answers there, the token is missing or wrong, or it is a public address in plain text.
    """

    def __init__(self, dashboard: str | None = None) -> None:
        require_ray()
        record = read_record()
        own = record.dashboard if record else None
        self.dashboard = (dashboard or own or DASHBOARD).rstrip("/")
        # a head on this machine tells its interpreter; `cluster start` puts it first on the path of jobs elsewhere
        self._python = sys.executable if own and dashboard in (None, own) else "python"
        _check_reachable(self.dashboard)
        require_token(create=False)
        self._client = _client(self.dashboard)

    def submit(
        self,
        words: Sequence[str],
        *,
        folder: str,
        name: str | None = None,
        python: str | None = None,
        upload: bool = False,
    ) -> str:
        """Run this program on the head node.

        Args:
            words: Verb and its arguments.
            folder: Where it runs: a folder that the head node has too, unless it is uploaded.
            name: Name of the job; None lets Ray choose.
            python: Interpreter on the head node; None takes that of the head if it is this machine, else ``python``.
            upload: Send the folder along (what .gitignore names is left out; 512 MiB at most).

        Returns:
            The job's name.

        Raises:
            ValueError: The name is taken, or the folder cannot be sent.
        """
        command = [python or self._python, *PROGRAM, *words]
        if not upload:
            command = ["env", f"--chdir={folder}", *command]
        try:
            return self._client.submit_job(
                entrypoint=shlex.join(command),
                submission_id=name,
                runtime_env={"working_dir": folder} if upload else None,
            )
        except RuntimeError as error:
            raise ValueError(f"the job is refused: {_reason(error)}") from error

    def list(self) -> list[Job]:
        """All jobs that were submitted, the newest last."""
        found = [job for job in self._client.list_jobs() if job.submission_id]
        found.sort(key=lambda job: job.start_time or 0)
        return [_job(job) for job in found]

    def get(self, name: str) -> Job:
        """One job.

        Raises:
            ValueError: There is none of this name.
        """
        try:
            return _job(self._client.get_job_info(name))
        except RuntimeError as error:
            raise ValueError(f"no job {name!r} at {self.dashboard}: {_reason(error)}") from error

    def follow(self, name: str, write: Callable[[str], Any]) -> Job:
        """Pass on what a job writes until it ends.

        Args:
            name: The job.
            write: Called with each piece of text.
        """
        self.get(name)

        async def tail() -> None:
            async for text in self._client.tail_job_logs(name):
                write(text)

        asyncio.run(tail())
        return self.get(name)

    def stop(self, name: str) -> None:
        """Ask a job to end."""
        self.get(name)
        self._client.stop_job(name)


def _client(dashboard: str) -> Any:
    from spikevision.cluster.network import import_ray

    import_ray()
    from ray.job_submission import JobSubmissionClient

    logging.getLogger(JobSubmissionClient.__module__).setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(dashboard)
    except (RuntimeError, ConnectionError) as error:
        raise ValueError(f"the cluster at {dashboard} refuses us: {_reason(error)}") from error


def _check_reachable(dashboard: str) -> None:
    """Say within seconds what is wrong with an address."""
    parts = urlsplit(dashboard)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"--dashboard takes http://HOST:PORT, got {dashboard!r}")
    if parts.scheme == "http" and public_addresses(parts.hostname):
        raise ValueError(
            f"{dashboard} is public: the token would cross the internet in plain text. Use a tunnel: "
            f"ssh -L 8265:{LOOPBACK}:8265 {parts.hostname}"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise ValueError(
            f"cannot reach the dashboard at {dashboard}: {error}. It listens on its own machine only: run this there, "
            f"or make a tunnel first: ssh -N -L 8265:{LOOPBACK}:8265 HEAD"
        ) from error


def _job(found: Any) -> Job:
    return Job(
        name=found.submission_id,
        status=str(getattr(found.status, "value", found.status)),
        command=found.entrypoint,
        message=(found.message or "").partition(", last available logs")[0],
    )


def _reason(error: BaseException) -> str:
    """The last line of an error that carries a traceback of the other side."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
