import argparse

import pytest

from spikevision.cli.options import add_cluster_arguments, add_launcher, cluster_spec
from spikevision.cluster.spec import ClusterSpec


def spec_of(*words: str) -> ClusterSpec | None:
    parser = argparse.ArgumentParser()
    add_launcher(parser)
    add_cluster_arguments(parser, training=True)
    return cluster_spec(parser.parse_args(words))


def test_without_the_flags_a_job_stays_in_this_process():
    assert spec_of() is None


def test_any_of_the_flags_takes_it_to_a_ray_of_its_own():
    assert spec_of("--workers", "2") == ClusterSpec(workers=(2, 2))
    assert spec_of("--name", "one") == ClusterSpec(name="one")


def test_every_flag_arrives():
    words = "--address h:1 --workers 1:4 --gpus-per-worker 0.5 --storage s3://b --name n --max-failures -1"
    assert spec_of(*words.split()) == ClusterSpec(
        address="h:1",
        workers=(1, 4),
        gpus_per_worker=0.5,
        storage="s3://b",
        name="n",
        max_failures=-1,
    )


def test_torchrun_and_ray_exclude_each_other():
    with pytest.raises(ValueError, match="--launcher pytorch is for torchrun"):
        spec_of("--launcher", "pytorch", "--workers", "2")
