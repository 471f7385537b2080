import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.ops import depthwise, neuron_backend
from spikevision.ops.depthwise import depthwise_conv2d

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


def gradients(function, x, weight):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    output = function(x, weight)
    output.backward(torch.linspace(-1, 1, output.numel()).view_as(output))
    return output.detach(), x.grad, weight.grad


def torch_conv(x, weight):
    return torch.nn.functional.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))


@needs_compiler
@settings(deadline=None, max_examples=30)
@given(
    images=st.integers(1, 3),
    channels=st.sampled_from([8, 16, 24]),
    height=st.integers(1, 9),
    width=st.integers(1, 12),
    kernel=st.sampled_from([3, 5, 7]),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    threads=st.sampled_from([1, 2]),
)
def test_gradients_equal_those_of_pytorch_in_double_precision(
    images, channels, height, width, kernel, layout, threads
):
    x = torch.randn(images, channels, height, width).to(memory_format=layout)
    weight = torch.randn(channels, 1, kernel, kernel)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with neuron_backend("compiled"):
            assert depthwise._has_kernel(x, weight.requires_grad_())
            ours = gradients(depthwise_conv2d, x, weight.detach())
    finally:
        torch.set_num_threads(before)
    theirs = gradients(torch_conv, x.double(), weight.detach().double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, w: (x.double(), w.double()),
        lambda x, w: (x[:, :4], w[:4]),
        lambda x, w: (x, torch.nn.functional.pad(w, (1, 1, 1, 1, 0, 0))[..., :9, :9]),
    ],
    ids=["float64", "four channels", "9x9"],
)
def test_what_the_kernel_does_not_know_goes_to_pytorch(change):
    x, weight = change(torch.randn(2, 8, 6, 5), torch.randn(8, 1, 7, 7))
    with neuron_backend("compiled"):
        ours = gradients(depthwise_conv2d, x, weight)
    for one, other in zip(ours, gradients(torch_conv, x, weight), strict=True):
        assert torch.equal(one, other)


@needs_compiler
def test_the_input_gradient_alone_is_computed_where_weights_are_frozen():
    x = torch.randn(1, 8, 5, 5, requires_grad=True)
    with neuron_backend("compiled"):
        depthwise_conv2d(x, torch.ones(8, 1, 3, 3)).sum().backward()
    assert x.grad[0, 0].tolist() == [
        [4, 6, 6, 6, 4],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [6, 9, 9, 9, 6],
        [4, 6, 6, 6, 4],
    ]


@needs_compiler
def test_spikes_are_kept_as_bits_through_the_kernel():
    from spikevision.ops.packing import mark_spikes, spikes_saved_as_bits

    spikes = (torch.rand(2, 8, 6, 5) < 0.3).float()
    weight = torch.randn(8, 1, 3, 3)
    plain = gradients(torch_conv, spikes, weight)
    held = mark_spikes(spikes.clone().requires_grad_())
    trained = weight.clone().requires_grad_()
    with neuron_backend("compiled"), spikes_saved_as_bits():
        output = depthwise_conv2d(held, trained)
    held.data.zero_()  # what was kept does not depend on the spikes' own memory
    output.backward(torch.linspace(-1, 1, output.numel()).view_as(output))
    torch.testing.assert_close(trained.grad, plain[2], rtol=1e-5, atol=1e-5)
