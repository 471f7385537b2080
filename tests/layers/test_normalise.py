import copy
import shutil

import pytest
import torch

from spikevision.layers import ConvBN, RepConvBN
from spikevision.layers.blocks import mlp_body
from spikevision.layers.normalise import BatchNorm2d, fire
from spikevision.neurons import LIF, ReLU
from spikevision.ops import neuron_backend, normalise, packing

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture
def x():
    torch.manual_seed(0)
    folded = torch.randn(6, 16, 4, 4).to(memory_format=torch.channels_last)
    return folded.unflatten(0, (2, 3))


def trained(layer, x, run, backend):
    """Result, gradients and running statistics of one training step of a copy."""
    layer = copy.deepcopy(layer).train().to(memory_format=torch.channels_last)
    with neuron_backend(backend):
        y = run(layer, x)
        y.square().sum().backward()
    return y.detach(), [p.grad for p in layer.parameters()], dict(layer.named_buffers())


def assert_same_training(one, other):
    torch.testing.assert_close(one[0], other[0], rtol=1e-4, atol=1e-4)
    for a, b in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    for name, value in one[2].items():
        torch.testing.assert_close(value, other[2][name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: ConvBN(16, 24), lambda: RepConvBN(16)])
def test_a_layer_trains_with_kernels_as_with_pytorch(make, x):
    layer = make()
    assert_same_training(*(trained(layer, x, lambda m, x: m(x), b) for b in ("compiled", "plain")))


def test_rep_conv_keeps_what_its_pointwise_convolutions_take_and_give_and_no_more(x, monkeypatch):
    layer, kept, pack = (
        RepConvBN(16).train().to(memory_format=torch.channels_last),
        {},
        packing.pack,
    )

    def note(tensor):
        result = pack(tensor)
        memory = result if isinstance(result, torch.Tensor) else result.memory
        kept[memory.data_ptr()] = memory.numel()
        return result

    monkeypatch.setattr(packing, "pack", note)
    with neuron_backend("compiled"):
        layer(x.requires_grad_())
    assert [size for size in kept.values() if size >= x.numel()] == [x.numel()] * 2


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_those_of_pytorch(momentum, x):
    ours, theirs = BatchNorm2d(16, momentum=momentum), torch.nn.BatchNorm2d(16, momentum=momentum)
    with neuron_backend("compiled"):
        for step in range(3):
            ours(x.flatten(0, 1) + step), theirs(x.flatten(0, 1) + step)
    for name, value in theirs.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], value)


def test_a_layer_and_its_neuron_fire_in_one_pass_and_hooks_see_the_spikes(x, monkeypatch):
    layer, neuron, seen = ConvBN(16, 16).train(), LIF(v_threshold=0.3), []
    neuron.register_forward_hook(lambda module, args, output: seen.append(output))
    calls, kernel = [], normalise.batch_norm_lif
    monkeypatch.setattr(normalise, "batch_norm_lif", lambda *args: calls.append(1) or kernel(*args))
    layer.to(memory_format=torch.channels_last)
    with neuron_backend("compiled"):
        spikes = fire(layer, neuron, x)
    assert len(calls) == 1
    assert torch.equal(seen[0], spikes)
    with neuron_backend("plain"):
        assert (spikes != fire(layer, neuron, x)).float().mean() < 0.01


def test_a_hook_on_what_the_pass_skips_is_called(x):
    body, seen = mlp_body(16, neuron=None).train().to(memory_format=torch.channels_last), []
    body.fc1.register_forward_hook(lambda module, args, output: seen.append(output))
    with neuron_backend("compiled"):
        body(x)
    assert seen[0].shape == (2, 3, 64, 4, 4)


def test_a_hook_before_the_neuron_sees_what_is_normalised(x):
    layer, neuron, seen = ConvBN(16, 16).train(), LIF(), []
    layer.to(memory_format=torch.channels_last)
    neuron.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    with neuron_backend("compiled"):
        fire(layer, neuron, x)
        torch.testing.assert_close(seen[0], layer(x))


def test_other_neurons_and_frozen_statistics_go_their_own_way(x):
    layer = ConvBN(16, 16).train().to(memory_format=torch.channels_last)
    with neuron_backend("compiled"):
        torch.testing.assert_close(fire(layer, ReLU(), x), layer(x).relu())
        layer.bn.eval()
        before = layer.bn.running_mean.clone()
        fire(layer, LIF(), x)
    assert torch.equal(layer.bn.running_mean, before)
