import shutil

import pytest
import torch

from spikevision.ops import neuron_backend
from spikevision.ops.whole_numbers import to_bytes

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture(params=[pytest.param("compiled", marks=needs_compiler), "chunked"], autouse=True)
def _backend(request):
    with neuron_backend(request.param):
        yield


@pytest.mark.parametrize("channels_last", [False, True])
def test_whole_numbers_are_kept_in_value_and_layout(channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = (torch.arange(2 * 3 * 120 * 120) % 256).float().view(2, 3, 120, 120)
    x = x.contiguous(memory_format=layout)
    small = to_bytes(x)
    assert small.dtype == torch.uint8
    assert small.stride() == x.stride()
    assert torch.equal(small.float(), x)


@pytest.mark.parametrize(
    "value", [256.0, 512.0, -1.0, 0.5, 254.99998, 2.0**40, -1e30, torch.nan, torch.inf]
)
def test_one_value_that_a_byte_does_not_hold_is_found(value):
    x = torch.ones(37, 41)
    x[-1, -1] = value
    assert to_bytes(x) is None


def test_a_lower_limit_is_kept_and_no_values_are_whole():
    x = torch.tensor([0.0, 128.0])
    assert to_bytes(x, largest=128).tolist() == [0, 128]
    assert to_bytes(x, largest=127) is None
    assert to_bytes(torch.zeros(0, 3)).shape == (0, 3)
