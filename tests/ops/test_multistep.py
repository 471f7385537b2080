"""The fast paths against their plain twin: same spikes, same gradients, any layout."""

import pytest
import torch

from spikevision.ops import chunked, if_step, lif_step, parametric_lif_step, run_steps

from .helpers import FIRE, LAYOUTS, LIF, assert_equal_to_plain, randn


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 7)


@pytest.mark.parametrize("time_steps", [1, 2, 5])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.usefixtures("small_chunks")
def test_chunked_lif_equals_plain(time_steps, v_reset, detach_reset):
    settings = {**LIF, "v_reset": v_reset, "detach_reset": detach_reset}
    assert_equal_to_plain(lif_step, randn(time_steps, 2, 3, 5), 0.0, **settings)


@pytest.mark.parametrize("surrogate", ["sigmoid", "atan", "triangular", "rectangular"])
@pytest.mark.usefixtures("small_chunks")
def test_chunked_if_equals_plain_with_every_surrogate(surrogate):
    assert_equal_to_plain(if_step, randn(4, 2, 9), 0.0, **{**FIRE, "surrogate": surrogate})


@pytest.mark.usefixtures("small_chunks")
def test_chunked_reaches_state_and_parameter_with_its_gradients():
    w = torch.tensor(0.3, dtype=torch.float64)
    settings = {"decay_input": True, **FIRE}
    got = assert_equal_to_plain(
        parametric_lif_step, randn(4, 2, 9), randn(2, 9, seed=1), w, **settings
    )
    assert len(got) == 5  # spikes, state, and gradients of x, w, v0
    assert all(g.abs().sum() > 0 for g in got[2:])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.usefixtures("small_chunks")
def test_every_memory_layout_gives_the_same(name):
    x = LAYOUTS[name]()
    if name != "one_neuron":
        assert_equal_to_plain(lif_step, x, randn(*x.shape[1:], seed=2), **LIF)
    assert_equal_to_plain(lif_step, x, 0.0, **LIF)


@pytest.mark.parametrize("name", ["contiguous", "channels_last", "tokens"])
def test_spikes_and_input_gradients_keep_the_memory_layout(name):
    x = LAYOUTS[name]().requires_grad_()
    spikes, _ = run_steps(lif_step, x, 0.0, **LIF)
    assert spikes.stride() == x.stride()
    grad = torch.autograd.grad(spikes, x, torch.empty_strided(x.shape, x.stride()).double())[0]
    assert grad.stride() == x.stride()


def test_state_of_another_layout_than_the_input_is_matched_by_position():
    x, v0 = LAYOUTS["channels_last"](), randn(2, 3, 5, 5, seed=3)
    assert not v0.is_contiguous(memory_format=torch.channels_last)
    assert_equal_to_plain(lif_step, x, v0, **LIF)


def test_only_the_input_is_saved_for_backward():
    x, saved = randn(4, 2, 3).requires_grad_(), []

    def note(tensor):
        saved.append(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run_steps(lif_step, x, 0.0, **LIF)
    assert saved == [x.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_the_potential_in_float32(dtype):
    # 40 steps of 1/64 towards 0.64: a potential in bfloat16 stalls long before
    x = torch.full((40, 3), 0.015625, dtype=dtype)
    settings = {**FIRE, "v_threshold": 0.6}
    spikes, v = run_steps(if_step, x, torch.zeros(3), **settings)
    assert (spikes.dtype, v.dtype) == (dtype, torch.float32)
    assert spikes[:, 0].nonzero().flatten().tolist() == [38]  # 39 / 64 is the first above 0.6
    assert_equal_to_plain(if_step, x, torch.zeros(3), **settings)


def test_without_gradients_nothing_is_recorded():
    x = randn(4, 2, 3).requires_grad_()
    with torch.no_grad():
        assert not run_steps(lif_step, x, 0.0, **LIF)[0].requires_grad
    assert not run_steps(lif_step, x.detach(), 0.0, **LIF)[0].requires_grad
    assert run_steps(lif_step, x, 0.0, **LIF)[0].requires_grad


def test_an_empty_batch_gives_empty_spikes():
    assert run_steps(lif_step, torch.zeros(4, 0, 3), 0.0, **LIF)[0].shape == (4, 0, 3)


def test_differentiating_twice_is_a_clear_error():
    x = randn(4, 2, 3).requires_grad_()
    spikes, _ = run_steps(lif_step, x, 0.0, **LIF)
    with pytest.raises(RuntimeError, match="differentiated once.*'plain'"):
        torch.autograd.grad(spikes.sum(), x, create_graph=True)


def test_gradient_of_the_last_potential_below_threshold_is_powers_of_the_leak():
    x = torch.full((3, 1, 2), 0.1, dtype=torch.float64, requires_grad=True)
    v0 = torch.zeros(1, 2, dtype=torch.float64)
    _, v = run_steps(lif_step, x, v0, **LIF)
    (grad,) = torch.autograd.grad(v.sum(), x)
    assert grad[:, 0, 0].tolist() == [0.125, 0.25, 0.5]
