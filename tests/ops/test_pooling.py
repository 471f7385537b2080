import shutil

import pytest
import torch
from torch.nn import functional

from spikevision.ops import neuron_backend, packing, pooling
from spikevision.ops.packing import mark_spikes
from spikevision.ops.pooling import max_pool2d

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


def leaf(shape, *, spikes):
    torch.manual_seed(0)
    x = torch.randn(shape)
    x = (x > 0.3).float() if spikes else x
    return x.to(memory_format=torch.channels_last).requires_grad_()


@needs_compiler
@pytest.mark.parametrize("spikes", [True, False])
@pytest.mark.parametrize(
    ("shape", "window"),
    [((2, 8, 9, 7), (3, 2, 1)), ((3, 16, 8, 8), (2, 2, 0)), ((1, 24, 5, 6), (3, 1, 1)), ((2, 8, 11, 13), (5, 3, 2))],
)  # fmt: skip
def test_maxima_and_gradients_are_those_of_pytorch_to_the_bit(shape, window, spikes):
    ours, theirs = leaf(shape, spikes=spikes), leaf(shape, spikes=spikes)
    with neuron_backend("compiled"):
        assert pooling._has_kernel(ours, window[0])
        y = max_pool2d(ours, *window)
    expected = functional.max_pool2d(theirs, *window)
    assert torch.equal(y, expected)
    grad = torch.randn_like(expected)
    y.backward(grad)
    expected.backward(grad)
    assert torch.equal(ours.grad, theirs.grad)


@needs_compiler
def test_what_is_not_a_number_shows_in_the_result():
    x = leaf((1, 8, 4, 4), spikes=True)
    with torch.no_grad():
        x[0, 3, 1, 1] = float("nan")
    with neuron_backend("compiled"):
        assert max_pool2d(x, 2, 2, 0).isnan().sum() == 1


@needs_compiler
def test_of_spikes_it_keeps_a_byte_for_each_result_and_the_next_layer_a_bit():
    x = mark_spikes(leaf((2, 8, 8, 8), spikes=True))
    kept = []
    with (
        neuron_backend("compiled"),
        torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t),
    ):
        y = max_pool2d(x, 2, 2, 0)
    assert [(t.dtype, t.numel()) for t in kept] == [(torch.uint8, 2 * 8 * 4 * 4)]
    assert packing.pack(y).memory.numel() == y.numel() // 8


@pytest.mark.parametrize("channels", [6, 8])
def test_other_tensors_are_pooled_by_pytorch(channels):
    x = torch.randn(2, channels, 6, 6, dtype=torch.float64, requires_grad=True)
    assert not pooling._has_kernel(x, 3)
    assert torch.autograd.gradcheck(lambda x: max_pool2d(x, 3, 2, 1), x)
