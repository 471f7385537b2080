import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.neurons import IF, LIF
from spikevision.ops import neuron_backend
from spikevision.ops.firing import Firing

from .helpers import LIF_NEURONS, LIF_SHAPES, kernel_settings

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@settings(deadline=None, max_examples=60)
@given(
    shape=LIF_SHAPES,
    neuron=LIF_NEURONS,
    channels_last=st.booleans(),
)
def test_the_kernel_fires_the_spikes_of_the_plain_loop_in_its_memory_layout(
    shape, neuron, channels_last
):
    steps, images, channels, side = shape
    torch.manual_seed(channels)
    x = torch.randn(steps, images, channels, side, side).mul_(3)
    x = x.movedim(2, -1).contiguous().movedim(-1, 2) if channels_last else x
    lif = LIF(**neuron, surrogate="atan")
    with neuron_backend("plain"):
        plain = lif(x)
    with neuron_backend("compiled"), torch.no_grad():
        fired = Firing().fire(x, kernel_settings(lif))
        lif.firing = Firing()
        assert torch.equal(lif(x), plain)
    assert torch.equal(fired, plain)
    assert fired.stride() == x.stride()


def test_what_the_kernel_does_not_know_is_left_to_others():
    x = torch.randn(4, 2, 5, 3, 3)
    others = (
        x.double(),
        x.clone().requires_grad_(),
        x[:, :0],
        x[:, :, ::2],
        x[:1].expand(4, 2, 5, 3, 3),
        torch.randn(17, 2, 3),
    )
    with neuron_backend("compiled"):
        assert Firing().fire(x, kernel_settings(LIF())) is not None
        for other in others:
            assert Firing().fire(other, kernel_settings(LIF())) is None
        assert Firing().fire(x, kernel_settings(IF())) is None
    with neuron_backend("chunked"):
        assert Firing().fire(x, kernel_settings(LIF())) is None
