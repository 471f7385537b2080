"""How many actors there are; what they give back is in test_shard.py and test_calibration.py, on a real Ray."""

from types import SimpleNamespace

import pytest

from spikevision.cluster.pool import Pool
from spikevision.cluster.spec import ClusterSpec


def pool_of(cluster: ClusterSpec, **resources: float) -> Pool:
    return Pool(SimpleNamespace(cluster_resources=lambda: resources), cluster)


def test_of_a_range_as_many_actors_are_taken_as_fit():
    assert pool_of(ClusterSpec(workers=(1, 8)), CPU=3.0).size == 3
    assert pool_of(ClusterSpec(workers=(1, 8), gpus_per_worker=0.5), CPU=16.0, GPU=2.0).size == 4
    assert pool_of(ClusterSpec(workers=(2, 2)), CPU=16.0).size == 2


def test_more_actors_than_the_cluster_has_cpus_for_are_refused():
    with pytest.raises(ValueError, match="4 workers .* 3 CPUs .*ask for at most 3"):
        pool_of(ClusterSpec(workers=(4, 4)), CPU=3.0)


def test_a_death_is_forgiven_as_often_as_asked_for():
    options = pool_of(ClusterSpec(max_failures=2), CPU=1.0)._options
    assert (options["max_restarts"], options["max_task_retries"]) == (2, 2)
