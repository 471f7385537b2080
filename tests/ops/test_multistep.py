"""The fast paths against their plain twin: same spikes, same gradients, any layout."""

import pytest
import torch

from spikevision.ops import chunked, if_step, lif_step, parametric_lif_step, run_steps
from spikevision.ops.dynamics import IN_PLACE, fire_and_reset
from spikevision.ops.packing import saved_by_others

from .helpers import FIRE, LAYOUTS, LIF, assert_equal_to_plain, randn


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 7)


def leaky_with_bias(x, v, *, bias, **fire):
    """A step that has no in-place twin."""
    return fire_and_reset(0.5 * v + x + bias, **fire)


@pytest.mark.parametrize("time_steps", [1, 2, 5])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.usefixtures("small_chunks")
def test_chunked_lif_equals_plain(time_steps, decay_input, v_reset, detach_reset, dtype):
    settings = {**FIRE, "tau": 1.7, "decay_input": decay_input, "v_threshold": 0.7}
    settings |= {"v_reset": v_reset, "detach_reset": detach_reset}
    x = randn(time_steps, 2, 3, 5, dtype=dtype)
    assert_equal_to_plain(lif_step, x, 0.0 if v_reset is None else v_reset, **settings)


@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("surrogate", ["sigmoid", "atan", "triangular", "rectangular"])
@pytest.mark.usefixtures("small_chunks")
def test_chunked_if_equals_plain_with_every_surrogate(surrogate, detach_reset, v_reset):
    settings = {**FIRE, "surrogate": surrogate, "detach_reset": detach_reset, "v_reset": v_reset}
    assert_equal_to_plain(if_step, randn(4, 2, 9), randn(2, 9, seed=1), **settings)


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.usefixtures("small_chunks")
def test_chunked_reaches_state_and_parameter_with_its_gradients(with_state, v_reset, decay_input):
    w = torch.tensor(0.3, dtype=torch.float64)
    settings = {**FIRE, "decay_input": decay_input, "v_reset": v_reset}
    v0 = randn(2, 9, seed=1) if with_state else v_reset or 0.0
    got = assert_equal_to_plain(parametric_lif_step, randn(4, 2, 9), v0, w, **settings)
    assert len(got) == (5 if with_state else 3)  # spikes, state, and gradients of x, w, v0
    assert all(g.abs().sum() > 0 for g in got[1:])


def test_a_half_precision_parameter_gives_the_gradients_of_the_plain_loop():
    settings = {**FIRE, "decay_input": True}
    w = torch.tensor(-1.5, dtype=torch.bfloat16)  # 1 - sigmoid(w) is not exact in bfloat16
    assert_equal_to_plain(
        parametric_lif_step,
        randn(4, 2, 9, dtype=torch.bfloat16),
        randn(2, 9).float(),
        w,
        **settings,
    )


@pytest.mark.parametrize("with_state", [True, False])
def test_a_step_without_an_in_place_twin_equals_plain_too(with_state):
    v0 = randn(2, 9, seed=1) if with_state else 0.0
    assert leaky_with_bias not in IN_PLACE
    assert_equal_to_plain(leaky_with_bias, randn(4, 2, 9), v0, bias=0.1, **FIRE)


def test_a_wrong_setting_is_an_error_that_names_it():
    with pytest.raises(TypeError, match="tau"):
        run_steps(lif_step, randn(2, 3), 0.0, **FIRE, decay_input=True)
    with pytest.raises(TypeError, match="leak"):
        run_steps(if_step, randn(2, 3), 0.0, **FIRE, leak=2.0)


def test_it_leaves_its_inputs_alone():
    x, v0, grads = randn(3, 8), randn(8, seed=1), (randn(3, 8, seed=2), randn(8, seed=3))
    tensors = [x, v0, *grads]
    before = [t.clone() for t in tensors]
    out = run_steps(lif_step, x.requires_grad_(), v0.requires_grad_(), **LIF)
    torch.autograd.grad(out, [x, v0], grads)
    assert all(torch.equal(t, b) for t, b in zip(tensors, before, strict=True))


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

    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with saved_by_others(), hooks:
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
