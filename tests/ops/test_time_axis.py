import pytest
import torch

from spikevision.ops import fold_time, mean_time, repeat_time, unfold_time


def test_repeat_time_is_a_view_of_the_same_memory():
    x = torch.randn(2, 3)
    repeated = repeat_time(x, 4)
    assert repeated.shape == (4, 2, 3)
    assert repeated.data_ptr() == x.data_ptr()
    assert all(torch.equal(step, x) for step in repeated)


def test_fold_time_puts_the_samples_of_one_step_next_to_each_other():
    x = torch.arange(6).view(3, 2, 1)
    assert fold_time(x).flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert fold_time(x)[2].item() == x[1, 0].item()


def test_unfold_time_undoes_fold_time():
    x = torch.randn(3, 2, 4, 5)
    assert torch.equal(unfold_time(fold_time(x), 3), x)


def test_fold_and_unfold_keep_channels_last_without_a_copy():
    x = torch.randn(6, 4, 5, 5).to(memory_format=torch.channels_last)
    back = fold_time(unfold_time(x, 3))
    assert back.data_ptr() == x.data_ptr()
    assert back.is_contiguous(memory_format=torch.channels_last)


def test_mean_time_of_spikes_is_their_firing_rate():
    spikes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert mean_time(spikes).tolist() == [0.75, 0.25]


def test_time_steps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        repeat_time(torch.zeros(2), 0)
    with pytest.raises(ValueError, match="dimension of 7 into 3 time steps"):
        unfold_time(torch.zeros(7, 2), 3)
    with pytest.raises(ValueError, match="got shape"):
        fold_time(torch.zeros(7))
