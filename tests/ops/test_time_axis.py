import pytest
import torch

from spikevision.ops import fold_time, mean_time, repeat_time, unfold_time
from spikevision.ops.time_axis import firing_rate


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_firing_rate_keeps_the_layout_and_has_one_gradient_for_all_time_steps(dtype):
    spikes = (torch.rand(6, 2, 3, 4, 5).permute(0, 1, 4, 2, 3) < 0.5).to(dtype).requires_grad_()
    rate = firing_rate(spikes)
    assert torch.equal(rate, mean_time(spikes))
    assert rate.stride() == spikes.stride()[1:]
    seen = []
    spikes.register_hook(seen.append)
    rate.sum().backward()
    assert seen[0].stride(0) == 0
    torch.testing.assert_close(spikes.grad, torch.full_like(spikes, 1 / 6))


def test_time_steps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        repeat_time(torch.zeros(2), 0)
    with pytest.raises(ValueError, match="dimension of 7 into 3 time steps"):
        unfold_time(torch.zeros(7, 2), 3)
    with pytest.raises(ValueError, match="got shape"):
        fold_time(torch.zeros(7))
