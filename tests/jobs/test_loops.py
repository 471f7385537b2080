import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from spikevision.jobs.loops import ResumableBatchSampler


@given(
    samples=st.integers(0, 30),
    batch_size=st.integers(1, 7),
    skip=st.integers(0, 40),
    drop_last=st.booleans(),
)
def test_a_pass_without_its_first_batches_is_the_rest_of_the_full_pass(
    samples, batch_size, skip, drop_last
):
    full = list(BatchSampler(range(samples), batch_size, drop_last))
    sampler = ResumableBatchSampler(range(samples), batch_size, drop_last=drop_last)
    sampler.skip_next = skip
    assert list(sampler) == full[skip:]
    assert list(sampler) == full  # only the next pass is shortened
    assert len(sampler) == len(full)


def test_another_batch_sampler_can_be_inside():
    inner = {"type": BatchSampler, "drop_last": True}
    sampler = ResumableBatchSampler(range(7), 2, inner=inner)
    sampler.skip_next = 1
    assert list(sampler) == [[2, 3], [4, 5]]


@pytest.mark.parametrize("persistent", [False, True])
def test_a_loader_with_workers_leaves_them_out_too(persistent):
    sampler = ResumableBatchSampler(range(7), 2)
    loader = DataLoader(
        range(7), batch_sampler=sampler, num_workers=1, persistent_workers=persistent
    )
    sampler.skip_next = 2
    assert [batch.tolist() for batch in loader] == [[4, 5], [6]]
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5], [6]]


def test_a_built_data_loader_is_refused():
    from spikevision.jobs.loops import ResumableEpochLoop

    with pytest.raises(ValueError, match="from a config"):
        ResumableEpochLoop(None, [1, 2], max_epochs=1)
