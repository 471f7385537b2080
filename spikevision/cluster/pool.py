"""Actors that do independent units of work and are started again when they die; the answers come in order."""

from collections.abc import Iterator, Sequence
from typing import Any

from spikevision.cluster.launch import check_size, plain_error
from spikevision.cluster.spec import ClusterSpec


class Pool:
    """Restartable actors that do units of work.

    Args:
        ray: The module, connected.
        cluster: How many actors, and how many deaths each survives.
    """

    def __init__(self, ray: Any, cluster: ClusterSpec) -> None:
        self._ray = ray
        gpus = check_size(ray, cluster)
        total = ray.cluster_resources()
        self._count = min(cluster.workers[1], int(total["GPU"] / gpus if gpus else total["CPU"]))
        self._options = {
            "num_cpus": 1,
            "num_gpus": gpus,
            "max_restarts": cluster.max_failures,
            "max_task_retries": cluster.max_failures,
        }

    def map(self, worker: type, shipped: dict[str, Any], units: Sequence[Any]) -> Iterator[Any]:
        """What ``worker(shipped).run(index, unit)`` gives for each unit, in the order of the units."""
        from ray.exceptions import RayError
        from ray.util import ActorPool

        kind = self._ray.remote(**self._options)(worker)
        common = self._ray.put(shipped)
        actors = [kind.remote(common) for _ in range(min(self._count, len(units)))]
        try:
            yield from ActorPool(actors).map(
                lambda actor, numbered: actor.run.remote(*numbered), list(enumerate(units))
            )
        except RayError as error:
            raise plain_error(error) from error
        finally:
            for actor in actors:
                self._ray.kill(actor)
