import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.ops import native, neuron_backend
from spikevision.ops.event_conv import event_conv2d, pack_bias, pack_weight

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


def run(x, weight, bias, **place):
    channels = len(weight)
    return event_conv2d(x, pack_weight(weight), pack_bias(bias, channels), channels, **place)


@settings(deadline=None, max_examples=25)
@given(
    images=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 70), st.integers(1, 140)),
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    kernel=st.sampled_from([1, 2, 3]),
    stride=st.sampled_from([1, 2, 3]),
    padding=st.integers(0, 2),
    rate=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    threads=st.sampled_from([1, 2]),
)
def test_the_kernel_answers_as_a_convolution_does(
    images, channels, size, kernel, stride, padding, rate, threads
):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-2, 4, (images, channels[0], *size), generator=generator).float()
    x *= torch.rand(x.shape, generator=generator) < rate
    weight = torch.randn(channels[1], channels[0], kernel, kernel, generator=generator)
    bias = torch.randn(channels[1], generator=generator)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with neuron_backend("compiled"):
            assert native.has_kernels(x)
        found = run(x, weight, bias, stride=stride, padding=padding)
    finally:
        torch.set_num_threads(before)
    expected = torch.nn.functional.conv2d(
        x.double(), weight.double(), bias.double(), stride, padding
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_no_bias_is_a_bias_of_zeros():
    weight = torch.eye(3).view(3, 3, 1, 1)
    x = torch.tensor([1.0, 0.0, 2.0]).view(1, 3, 1, 1)
    assert torch.equal(run(x, weight, None, stride=1, padding=0), x)
