"""Kernels, packing and compiled neurons change no gradient of a whole network in float32.

Two ways to sum in float32 differ in the last bits, and a potential that lies as near to the threshold as that fires in
one and not in the other. So networks are compared for the first seed under which all their spikes are equal.
"""

import copy
import shutil

import pytest
import torch
from contestants import Eager, on_spikingjelly

from spikevision.neurons import SpikingNeuron
from spikevision.ops import neuron_backend
from spikevision.testing import build_classifier

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
NETWORKS = {
    "meta": dict(
        type="spikevision.MetaSpikeFormer",
        arch=dict(embed_dims=(16, 16, 32, 32), num_heads=2, depths=(1, 1)),
    ),
    "spikformer": dict(
        type="spikevision.Spikformer", arch=dict(embed_dims=64, depth=1, num_heads=2)
    ),
}


def build(name, seed):
    torch.manual_seed(seed)
    model = build_classifier({**NETWORKS[name], "time_steps": 2}, 5)
    return model.train(), torch.randn(2, 3, 32, 32)


def spikes_and_gradients(model, images):
    """All that neurons fired, and the gradients of all weights as one vector."""
    fired = []
    handles = [
        module.register_forward_hook(lambda module, args, output: fired.append(output.detach()))
        for module in model.modules()
        if isinstance(module, SpikingNeuron) or type(module).__name__ == "SpikingJellyLIF"
    ]
    model(images).square().sum().backward()
    for handle in handles:
        handle.remove()
    gradients = {n: p.grad.flatten() for n, p in model.named_parameters() if p.grad is not None}
    return fired, torch.cat(list(gradients.values()))


def both(name, seed, peer):
    ours, images = build(name, seed)
    theirs = peer(copy.deepcopy(ours))
    with neuron_backend("compiled"):
        mine = spikes_and_gradients(ours, images)
    return mine, spikes_and_gradients(theirs, images)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("peer", [Eager, on_spikingjelly])
def test_gradients_of_a_network_are_those_of_its_plain_form(name, peer):
    if peer is on_spikingjelly:
        pytest.importorskip("spikingjelly")
    for seed in range(20):
        (spikes, gradient), (expected_spikes, expected) = both(name, seed, peer)
        assert len(spikes) == len(expected_spikes) > 5
        if all(map(torch.equal, spikes, expected_spikes)):
            break
    else:
        pytest.fail("spikes differ under all seeds")
    assert sum(s.sum() for s in spikes) > 100
    assert (gradient - expected).norm() <= 1e-5 * expected.norm()
    assert expected.norm() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_packing_changes_no_gradient_under_autocast_and_accumulation(name):
    gradients = []
    for packing in (True, False):
        model, images = build(name, 0)
        for module in model.modules():
            if isinstance(module, SpikingNeuron):
                module.spike_packing = packing
        for part in images.split(1):
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(part.repeat(2, 1, 1, 1)).square().sum()
            loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert any(gradient.abs().sum() > 0 for gradient in gradients[0])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)
