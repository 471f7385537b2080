import subprocess
import sys
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from spikevision.cluster.spec import ClusterSpec, parse_workers, per_worker_batch


def test_workers_are_a_number_or_a_range():
    assert parse_workers("4") == (4, 4)
    assert parse_workers("2:8") == (2, 8)


@pytest.mark.parametrize("text", ["two", "1:2:3", "-1", "2:", ""])
def test_other_workers_are_refused(text):
    with pytest.raises(ValueError, match="--workers"):
        parse_workers(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": (3, 2)}, "3:2: expected 1 <= MIN <= MAX"),
        ({"workers": (0, 0)}, "1 <= MIN <= MAX"),
        ({"gpus_per_worker": -1.0}, "0 or more"),
        ({"name": "../other"}, "it becomes a folder"),
        ({"max_failures": -2}, "without end"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ClusterSpec(**fields)


def test_a_fixed_size_keeps_the_batch_of_each_process_and_an_elastic_one_the_global_batch():
    assert per_worker_batch(4, workers=(3, 3), world_size=3) == 4
    assert [per_worker_batch(6, workers=(1, 2), world_size=size) for size in (1, 2)] == [12, 6]


def test_a_global_batch_that_a_size_cannot_split_is_refused():
    with pytest.raises(
        ValueError, match="global batch of 8, which does not divide among 3 workers"
    ):
        per_worker_batch(2, workers=(2, 4), world_size=4)


def test_neither_the_package_nor_its_help_load_ray():
    code = (
        "import sys, spikevision, spikevision.cluster\n"
        "from spikevision.cli.main import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'ray' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--workers" in done.stdout


@given(
    batch_size=st.integers(1, 4),
    workers=st.sampled_from([(1, 2), (2, 3), (2, 4), (1, 3)]),
    length=st.integers(30, 60),
)
def test_a_step_sees_the_same_samples_at_every_size_that_divides_the_batch(
    batch_size, workers, length
):
    sizes = range(workers[0], workers[1] + 1)
    assume(all(batch_size * workers[1] % size == 0 for size in sizes))
    steps = [
        samples_by_step(
            length, size, per_worker_batch(batch_size, workers=workers, world_size=size)
        )
        for size in sizes
    ]
    for other in steps[1:]:
        assert len(other) == len(steps[0])
        assert other[:-1] == steps[0][:-1]  # the last step is filled up with samples of the first


def samples_by_step(length: int, world_size: int, batch_size: int) -> list[set[int]]:
    """Samples that all processes together see at each step of an epoch."""
    steps: list[set[int]] = []
    for rank in range(world_size):
        place = (rank, world_size)
        with patch("mmengine.dataset.sampler.get_dist_info", return_value=place):
            sampler = DefaultSampler(range(length), shuffle=True, seed=1)
        for step, batch in enumerate(BatchSampler(sampler, batch_size, False)):
            steps += [set()] * (step + 1 - len(steps))
            steps[step] = steps[step] | set(batch)
    return steps
