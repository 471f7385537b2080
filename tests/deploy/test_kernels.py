import shutil
from unittest.mock import patch

import pytest
import torch
from torch import nn

from spikevision.deploy import kernels
from spikevision.deploy.int8 import Int8Conv2d
from spikevision.deploy.kernels import EventConv2d, choose_kernels
from spikevision.ops import neuron_backend

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture(autouse=True)
def _without_compiler():
    with neuron_backend("chunked"):
        yield


def test_integer_kernels_are_tried_on_spikes_alone():
    torch.manual_seed(0)
    core = nn.Sequential(Int8Conv2d(nn.Conv2d(4, 4, 1)), Int8Conv2d(nn.Conv2d(4, 4, 1)))
    spikes = torch.zeros(2, 4, 3, 3)
    spikes[0] = 1
    choices = choose_kernels(core, lambda: core(spikes))
    assert set(choices["0"].milliseconds) == {"dense", "vnni"}
    assert choices["0"].rate == 0.5
    assert set(choices["1"].milliseconds) == {"dense"}  # its input is the output of the first one
    assert choices["1"].rate is None
    fastest = min(choices["0"].milliseconds, key=choices["0"].milliseconds.__getitem__)
    assert choices["0"].kernel == fastest


def test_long_calls_are_measured_less_often():
    clock = iter(range(100))
    calls = []
    with patch.object(kernels.time, "perf_counter", lambda: next(clock)):
        assert kernels.fastest_ms(lambda: calls.append(1)) == 1000
    assert len(calls) == 2  # the first one is not counted; one second is enough


def test_ordinary_weights_have_no_integer_kernel():
    conv = nn.Conv2d(4, 4, 1)
    (choice,) = choose_kernels(conv, lambda: conv(torch.ones(1, 4, 2, 2))).values()
    assert choice.kernel == "dense"


@needs_compiler
@pytest.mark.parametrize(("rate", "tried"), [(0.1, True), (0.9, False)])
def test_skipping_zeros_is_tried_at_low_rates(rate, tried):
    conv = nn.Conv2d(4, 4, 1)
    spikes = (torch.arange(100.0) < 100 * rate).float().expand(1, 4, 1, 100)
    with neuron_backend("compiled"):
        (choice,) = choose_kernels(conv, lambda: conv(spikes)).values()
    assert ("events" in choice.milliseconds) == tried


def test_a_layer_whose_kernel_is_not_square_has_no_kernel_that_skips_zeros():
    conv = nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
    (choice,) = choose_kernels(conv, lambda: conv(torch.zeros(1, 4, 2, 2))).values()
    assert set(choice.milliseconds) == {"dense"}


@needs_compiler
def test_a_layer_that_skips_zeros_answers_alike_with_and_without_a_compiler():
    torch.manual_seed(0)
    layer = EventConv2d(nn.Conv2d(5, 7, 3, stride=2, padding=1)).requires_grad_(False)
    x = (torch.rand(2, 5, 9, 8) < 0.2).float()
    expected = layer(x)
    with neuron_backend("compiled"):
        found = layer(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
