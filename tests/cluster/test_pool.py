"""How many actors there are; what they give back is in test_shard.py and test_calibration.py, on a real Ray."""

from types import SimpleNamespace

import pytest

from spikevision.cluster.pool import Host, Pool, open_pool
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


def test_an_open_pool_is_used_as_it_is():
    pool = pool_of(ClusterSpec(), CPU=1.0)
    with open_pool(pool) as inner:
        assert inner is pool


class Doubler:
    made = 0

    def __init__(self, shipped):
        Doubler.made += 1
        self.base = shipped

    def run(self, index, unit):
        return self.base + 2 * unit


def test_a_process_makes_a_worker_once_for_each_job(monkeypatch):
    ray = pytest.importorskip("ray")
    shipped = {"a": 100, "b": 200}
    monkeypatch.setattr(ray, "get", lambda reference: shipped[reference.hex()])
    jobs = [[SimpleNamespace(hex=lambda name=name: name)] for name in shipped]
    host = Host()
    given = [host.run(Doubler, jobs[0], unit, unit) for unit in (1, 2)]
    given.append(host.run(Doubler, jobs[1], 0, 3))
    assert given == [102, 104, 206]
    assert Doubler.made == 2
