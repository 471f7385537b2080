"""Actors that do independent units of work and are started again when they die; the answers come in order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spikevision.cluster.launch import check_size, local_cpus, plain_error
from spikevision.cluster.session import session
from spikevision.cluster.spec import ClusterSpec


@contextmanager
def open_pool(cluster: "ClusterSpec | Pool") -> Iterator["Pool"]:
    """Actors for one job, or those that are there already.

    Args:
        cluster: Size and place of new ones, or a pool that an outer ``open_pool`` gave and ends.

    Raises:
        ValueError: The cluster is not right; says in what.
    """
    if isinstance(cluster, Pool):
        yield cluster
        return
    with session(cluster.address, cpus=local_cpus(cluster)) as ray:
        pool = Pool(ray, cluster)
        try:
            yield pool
        finally:
            pool.close()


class Pool:
    """Restartable processes that do units of work, of one job after the other.

    A process starts with its first unit and stays until the pool is closed: its imports are paid once.

    Args:
        ray: The module, connected.
        cluster: How many actors, and how many deaths each survives.

    Attributes:
        size: How many of them the next job may use; those beyond rest.
    """

    def __init__(self, ray: Any, cluster: ClusterSpec) -> None:
        self._ray = ray
        gpus = check_size(ray, cluster)
        total = ray.cluster_resources()
        self.size = min(cluster.workers[1], int(total["GPU"] / gpus if gpus else total["CPU"]))
        self._options = {
            "num_cpus": 1,
            "num_gpus": gpus,
            "max_restarts": cluster.max_failures,
            "max_task_retries": cluster.max_failures,
        }
        self._actors: list[Any] = []

    def map(self, worker: type, shipped: dict[str, Any], units: Sequence[Any]) -> Iterator[Any]:
        """What ``worker(shipped).run(index, unit)`` gives for each unit, in the order of the units."""
        from ray.exceptions import RayError
        from ray.util import ActorPool

        shared = [self._ray.put(shipped)]  # in a list: fetched once per actor, not once per unit
        actors = self._first(min(self.size, len(units)))
        try:
            yield from ActorPool(actors).map(
                lambda actor, numbered: actor.run.remote(worker, shared, *numbered),
                list(enumerate(units)),
            )
        except RayError as error:
            raise plain_error(error) from error

    def close(self) -> None:
        """End the processes."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []

    def _first(self, count: int) -> list[Any]:
        """So many actors, started where they are not there yet."""
        kind = self._ray.remote(**self._options)(Host)
        self._actors += [kind.remote() for _ in range(count - len(self._actors))]
        return self._actors[:count]


class Host:
    """In an actor: holds the worker of the job that it does now; makes it again after a death."""

    def __init__(self) -> None:
        self._job: Any = None
        self._worker: Any = None

    def run(self, worker: type, job: list[Any], index: int, unit: Any) -> Any:
        """Do one unit.

        Args:
            worker: Class of the job's worker.
            job: One reference, to what its constructor takes.
            index: Number of the unit.
            unit: The unit.
        """
        if job[0].hex() != self._job:
            import ray

            self._job = self._worker = None  # the one before makes room first
            self._worker = worker(ray.get(job[0]))
            self._job = job[0].hex()  # not the reference, which would keep what was shipped
        return self._worker.run(index, unit)
