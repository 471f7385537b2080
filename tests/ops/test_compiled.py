"""The compiled path. Compiling takes seconds, so these tests share few neurons."""

import shutil

import pytest
import torch
from torch._dynamo.utils import counters
from torch.utils.flop_counter import FlopCounterMode

from spikevision.ops import lif_step, neuron_backend, parametric_lif_step, run_steps

from .helpers import FIRE, LAYOUTS, LIF, assert_equal_to_plain, randn

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
GROUPS = {
    False: [name for name in LAYOUTS if "one_" not in name and name != "expanded_over_time"],
    True: ["expanded_over_time"],
}


def graphs():
    return counters["stats"]["unique_graphs"]


def compiled(x, **settings):
    with neuron_backend("compiled"):
        return run_steps(lif_step, x, 0.0, **settings)[0]


@pytest.mark.slow
@pytest.mark.parametrize("expanded", [False, True])
def test_all_shapes_and_layouts_share_one_forward_and_one_backward(expanded):
    settings, before = {**LIF, "tau": 1.7}, graphs()
    for name in GROUPS[expanded]:
        assert_equal_to_plain(lif_step, LAYOUTS[name](), 0.0, backend="compiled", **settings)
    for shape in [(4, 2), (4, 1, 300), (4, 3, 8, 7, 11)]:
        x = randn(1, *shape[1:]).expand(shape) if expanded else randn(*shape)
        assert_equal_to_plain(lif_step, x, 0.0, backend="compiled", **settings)
    assert graphs() - before == 2


def test_a_gradient_that_is_one_row_for_all_time_steps_gives_the_same():
    x, row = randn(4, 6, dtype=torch.float32), randn(6, dtype=torch.float32, seed=1)
    grads = []
    for grad in (row.expand(4, 6), row.repeat(4, 1)):
        leaf = x.clone().requires_grad_()
        compiled(leaf, **LIF).backward(grad)
        grads.append(leaf.grad)
    assert torch.equal(*grads)
    assert grads[0].abs().sum() > 0


@pytest.mark.slow
def test_state_and_parameter_get_their_gradients():
    w = torch.tensor(0.3, dtype=torch.float64)
    settings = {"decay_input": True, **FIRE}
    x, v0 = randn(4, 2, 9), randn(2, 9, seed=1)
    assert_equal_to_plain(parametric_lif_step, x, v0, w, backend="compiled", **settings)


@pytest.mark.slow
def test_many_neurons_do_not_exhaust_the_compiler():
    before = graphs()
    for number in range(9):
        settings = {**LIF, "v_threshold": 0.5 + number / 8}
        x = randn(2, 5 + number, dtype=torch.float32)
        got = compiled(x, **settings)
        with neuron_backend("plain"):
            assert torch.equal(got, run_steps(lif_step, x, 0.0, **settings)[0])
    assert graphs() - before == 9


def test_operators_can_be_counted_and_the_neuron_compiles_afterwards():
    x, settings = randn(2, 3, dtype=torch.float32), {**LIF, "v_threshold": 0.9}
    with FlopCounterMode(display=False):
        counted = compiled(x, **settings)
    before = graphs()
    assert torch.equal(compiled(x, **settings), counted)
    assert graphs() - before == 1


def test_an_outer_compiler_sees_through_the_neuron():
    class Model(torch.nn.Module):
        def forward(self, x):
            return compiled(x * 2, **LIF)

    x = randn(3, 2, 5, dtype=torch.float32)
    exported = torch.export.export(Model(), (x,)).module()
    with torch.no_grad():
        traced = torch.jit.trace(Model(), (x,))
    with neuron_backend("plain"):
        expected = run_steps(lif_step, x * 2, 0.0, **LIF)[0]
    assert torch.equal(exported(x), expected)
    assert torch.equal(traced(x), expected)


def test_an_error_of_the_user_is_not_taken_for_a_missing_compiler():
    with pytest.raises(TypeError, match="tau"):
        compiled(randn(2, 3), **FIRE)
