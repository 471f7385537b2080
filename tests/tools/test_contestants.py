"""The networks that benchmarks compare compute the same, and what is measured of them is right."""

import time

import pytest
import torch
from contestants import on_spikingjelly, relu_twin
from measure import interleaved_ms, peak_bytes, ratio

from spikevision.layers.conv import DepthwiseConv2d
from spikevision.neurons import ReLU, SpikingNeuron
from spikevision.testing import build_classifier


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    arch = dict(embed_dims=(8, 16, 16, 24), num_heads=2, depths=(1, 1))
    backbone = dict(type="spikevision.MetaSpikeFormer", arch=arch, time_steps=2)
    return build_classifier(backbone, 5)


def test_the_network_on_spikingjelly_answers_and_learns_as_ours(tiny):
    pytest.importorskip("spikingjelly")
    tiny.double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    theirs = on_spikingjelly(tiny)
    assert not any(isinstance(m, (SpikingNeuron, DepthwiseConv2d)) for m in theirs.modules())
    gradients = []
    for model in (tiny, theirs):
        logits = model.train()(images)
        logits.square().sum().backward()
        gradients.append([logits.detach(), *(p.grad for p in model.parameters())])
    assert any(grad is not None and grad.abs().sum() > 0 for grad in gradients[0][1:])
    for ours, other in zip(*gradients, strict=True):
        assert (ours is None) == (other is None)
        if ours is not None:
            torch.testing.assert_close(other, ours, rtol=1e-6, atol=1e-7)


def test_the_relu_twin_has_no_spiking_neuron_and_the_same_weights(tiny):
    twin = relu_twin(tiny)
    neurons = [m for m in tiny.modules() if isinstance(m, SpikingNeuron)]
    assert len([m for m in twin.modules() if isinstance(m, ReLU)]) == len(neurons)
    for name, value in tiny.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value)


def test_contestants_take_turns_and_ratios_are_of_the_same_round():
    order = []
    times_ms = interleaved_ms(
        {
            "slow": lambda: (order.append("slow"), time.sleep(0.02)),
            "fast": lambda: order.append("fast"),
        },
        rounds=2,
    )
    assert order == ["slow", "fast"] * 3
    assert {name: len(values) for name, values in times_ms.items()} == {"slow": 2, "fast": 2}
    assert ratio({"a": [2.0, 9.0, 4.0], "b": [1.0, 3.0, 4.0]}, "a", "b") == 2.0


def test_peak_memory_counts_what_lives_at_the_same_time():
    def run():
        kept = torch.ones(1_000_000)
        torch.ones(500_000)
        return kept + kept

    assert peak_bytes(run) == pytest.approx(8_000_000, rel=0.01)
