import os
import shutil
import subprocess
import sys

import pytest
import torch

from spikevision.ops import backend, get_neuron_backend, neuron_backend, set_neuron_backend

WITHOUT_COMPILER = """
import warnings
import torch
from spikevision.backbones import MetaSpikeFormer
from spikevision.ops import get_neuron_backend, if_step, neuron_backend, run_steps

fire = dict(v_threshold=1.0, v_reset=0.0, detach_reset=True, surrogate="sigmoid", alpha=4.0)
x = torch.linspace(-1, 2, 40).view(4, 10)

def run():
    leaf = x.clone().requires_grad_()
    spikes, _ = run_steps(if_step, leaf, 0.0, **fire)
    spikes.backward(x)
    return spikes, leaf.grad

def train_and_answer():
    arch = dict(embed_dims=(8, 16, 16, 24), num_heads=2, depths=(1, 1))
    model, images = MetaSpikeFormer(arch, time_steps=2), torch.randn(2, 3, 32, 32)
    model.train()(images)[0].square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert any(p.grad.abs().sum() > 0 for p in model.parameters())
    with torch.no_grad():
        assert model.eval()(images)[0].shape == (2, 2, 24, 2, 2)

assert get_neuron_backend() == "auto"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    spikes, grad = run()
    run()
    train_and_answer()
caught = [str(w.message) for w in caught if "without" in str(w.message)]
assert len(caught) == 1, caught
assert "g++" in caught[0], caught
with neuron_backend("plain"):
    expected_spikes, expected_grad = run()
assert torch.equal(spikes, expected_spikes) and 0 < spikes.sum() < 40
torch.testing.assert_close(grad, expected_grad)
print("as expected")
"""


INSIST = """
import torch
from spikevision.ops import if_step, neuron_backend, run_steps

fire = dict(v_threshold=1.0, v_reset=0.0, detach_reset=True, surrogate="sigmoid", alpha=4.0)
try:
    with neuron_backend("compiled"):
        run_steps(if_step, torch.zeros(2, 3), 0.0, **fire)
except RuntimeError as error:
    assert "did not compile" in str(error) and "g++" in str(error), error
    print("as expected")
"""

CUT_OFF = """
import os, pathlib, subprocess, sys, warnings
import torch
from spikevision.ops import if_step, neuron_backend, run_steps

fire = dict(v_threshold=1.0, v_reset=0.0, detach_reset=True, surrogate="sigmoid", alpha=4.0)
x = torch.linspace(-1, 2, 40).view(4, 10)
with neuron_backend("plain"):
    expected = run_steps(if_step, x, 0.0, **fire)[0]
if len(sys.argv) == 1:
    run_steps(if_step, x, 0.0, **fire)
    libraries = [*pathlib.Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).rglob("*.so")]
    assert libraries
    for library in libraries:
        library.write_bytes(b"")
    program = [sys.executable, "-c", sys.orig_argv[2], "again"]
    sys.exit(subprocess.run(program, check=False).returncode)
folder = "delete the folder " + os.environ["TORCHINDUCTOR_CACHE_DIR"]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert torch.equal(run_steps(if_step, x, 0.0, **fire)[0], expected)
caught = [str(w.message) for w in caught if "without a compiler" in str(w.message)]
assert len(caught) == 1 and folder in caught[0], caught
torch._dynamo.reset()
try:
    with neuron_backend("compiled"):
        run_steps(if_step, x, 0.0, **fire)
except RuntimeError as error:
    assert folder in str(error), error
    print("as expected")
"""


@pytest.fixture(autouse=True)
def _restore():
    chosen = backend._chosen
    yield
    backend._chosen = chosen


def test_a_choice_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("SPIKEVISION_NEURON_BACKEND", "plain")
    set_neuron_backend(None)
    assert get_neuron_backend() == "plain"
    set_neuron_backend("chunked")
    assert get_neuron_backend() == "chunked"


def test_auto_is_what_nobody_chose(monkeypatch):
    monkeypatch.delenv("SPIKEVISION_NEURON_BACKEND", raising=False)
    set_neuron_backend(None)
    assert get_neuron_backend() == "auto"


def test_a_block_restores_the_choice_even_after_an_error():
    set_neuron_backend("chunked")

    def fail_inside():
        with neuron_backend("plain"):
            raise KeyError(get_neuron_backend())

    with pytest.raises(KeyError, match="plain"):
        fail_inside()
    assert get_neuron_backend() == "chunked"


def test_unknown_backends_are_refused_where_they_come_from(monkeypatch):
    with pytest.raises(ValueError, match="'cupy'.*auto, compiled, chunked, plain"):
        set_neuron_backend("cupy")
    monkeypatch.setenv("SPIKEVISION_NEURON_BACKEND", "cuda")
    set_neuron_backend(None)
    with pytest.raises(ValueError, match="SPIKEVISION_NEURON_BACKEND 'cuda'"):
        get_neuron_backend()


def test_meta_tensors_run_plain():
    set_neuron_backend("chunked")
    assert backend.resolve_backend(torch.zeros(2, 2, device="meta")) == "plain"
    assert backend.resolve_backend(torch.zeros(2, 2)) == "chunked"


def run_without_compiler(tmp_path, script=WITHOUT_COMPILER, **environment):
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path)}
    environment = {**os.environ, **caches, **environment}
    environment.pop("SPIKEVISION_NEURON_BACKEND", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "as expected", done.stderr


def broken_compiler(tmp_path):
    compiler = tmp_path / "cxx"
    compiler.write_text("#!/bin/sh\necho 'fatal error: Python.h: no such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    return str(compiler)


@pytest.mark.parametrize("variable", ["CXX", "PATH"])
def test_without_a_compiler_auto_warns_once_and_is_right(tmp_path, variable):
    value = "nonexistent" if variable == "CXX" else str(tmp_path)
    run_without_compiler(tmp_path, **{variable: value})


@pytest.mark.slow
def test_with_a_compiler_that_fails_auto_warns_once_and_is_right(tmp_path):
    run_without_compiler(tmp_path, CXX=broken_compiler(tmp_path))


@pytest.mark.slow
def test_whoever_insists_on_a_compiler_is_told_what_to_install(tmp_path):
    run_without_compiler(tmp_path, INSIST, CXX=broken_compiler(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
def test_what_a_killed_compilation_left_is_named_and_neurons_go_on(tmp_path):
    run_without_compiler(tmp_path, CUT_OFF)
