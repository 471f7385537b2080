import torch
from torch import nn

from spikevision.layers import ConvBN, SpikingSequential, blocks
from spikevision.neurons import LIF


def test_each_layer_runs_with_the_neuron_right_behind_it(monkeypatch):
    together = []
    monkeypatch.setattr(
        blocks, "fire", lambda layer, neuron, x: together.append((layer, neuron)) or x + 1
    )
    conv, first, second = nn.Identity(), LIF(), LIF()
    result = SpikingSequential(first, conv, second, nn.Identity())(torch.zeros(2, 1, 3))
    assert together == [(conv, second)]
    assert torch.equal(result, torch.ones(2, 1, 3))


def test_it_computes_what_a_plain_sequence_does():
    torch.manual_seed(0)
    layers = [
        ConvBN(3, 8, 3),
        LIF(v_threshold=0.3),
        ConvBN(8, 4),
        LIF(v_threshold=0.3),
        nn.Identity(),
    ]
    x = torch.randn(2, 1, 3, 5, 5)
    one, other = SpikingSequential(*layers).eval()(x), nn.Sequential(*layers).eval()(x)
    assert torch.equal(one, other)
    assert 0 < one.sum() < one.numel()
