import ctypes
import shutil
import subprocess

import pytest
import torch

from spikevision.layers import ConvBN, SpikingResidual
from spikevision.neurons import LIF
from spikevision.ops import native, neuron_backend

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture
def fresh():
    """Nothing is loaded before and after."""
    native._library.cache_clear()
    yield
    native._library.cache_clear()


def test_a_compiler_that_fails_is_named_and_layers_go_on(monkeypatch, tmp_path, fresh):
    monkeypatch.setenv("CXX", str(tmp_path / "no-such-compiler"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with neuron_backend("compiled"), pytest.warns(RuntimeWarning, match="no-such-compiler"):
        assert not native.has_kernels(torch.ones(1))
    layer = SpikingResidual(ConvBN(4, 4, 3), LIF(), shortcut="sew")
    with neuron_backend("chunked"):
        layer(torch.randn(2, 3, 4, 5, 5)).sum().backward()
    assert layer.body.conv.weight.grad.abs().sum() > 0


@needs_compiler
def test_kernels_are_compiled_once_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = native._built()
    monkeypatch.setattr(subprocess, "run", None)
    assert native._built() == first
    assert [path.name for path in (tmp_path / "spikevision").iterdir()] == [first.name]


@needs_compiler
def test_kernels_have_the_names_that_python_calls_them_by():
    library = ctypes.CDLL(str(native._built()))
    for name in (
        "affine",
        "count_channels",
        "lif_backward",
        "lif_counted",
        "lif_forward",
        "moments",
    ):
        assert hasattr(library, name)


def test_autocast_other_types_and_other_backends_have_no_kernels():
    x = torch.ones(2)
    with neuron_backend("compiled"), torch.autocast("cpu", torch.bfloat16):
        assert not native.has_kernels(x)
    with neuron_backend("chunked"):
        assert not native.has_kernels(x)
    with neuron_backend("compiled"):
        assert not native.has_kernels(x.double())
