import pytest
import torch
from torch import nn

from spikevision.layers import ConvBN, SpikingSelfAttention
from spikevision.neurons import LIF
from spikevision.statistics import LayerCost, profile_calls


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = ConvBN(3, 8, 3, bias=True)
        self.neuron = LIF(v_threshold=0.3)
        self.attention = SpikingSelfAttention(
            8,
            num_heads=2,
            neuron=None,
            weight=lambda: ConvBN(8, 8),
            out_weight=lambda: ConvBN(8, 8),
        )

    def forward(self, x):
        return self.attention(self.neuron(self.first(x)))


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return Tiny().eval()


def test_every_layer_norm_neuron_and_product_is_measured_once_per_call(tiny):
    images = torch.randn(2, 1, 3, 6, 6)
    costs = profile_calls(tiny, lambda: [tiny(images) for _ in range(2)])
    names = {cost.name for cost in costs}
    assert {"first.conv", "first.bn", "neuron", "attention.product", "attention.q_neuron"} <= names
    assert {cost.calls for cost in costs} == {2}
    assert all(cost.forward_ms > 0 and cost.backward_ms > 0 for cost in costs)
    totals = [cost.total_ms for cost in costs]
    assert totals == sorted(totals, reverse=True)


def test_spikes_are_counted_as_bits_and_real_inputs_in_full(tiny):
    images = torch.randn(2, 1, 3, 8, 8)
    costs = {cost.name: cost for cost in profile_calls(tiny, lambda: tiny(images))}
    mib = 2**20
    assert costs["first.conv"].saved_mib == images.numel() * 4 / mib
    assert costs["attention.q.conv"].saved_mib == (2 * 8 * 64) / 8 / mib
    # q, k, v as bits, and the integers of k and v multiplied: D x D per head
    product = 3 * (2 * 8 * 64) / 8 + 2 * 2 * 4 * 4 * 4
    assert costs["attention.product"].saved_mib == product / mib


def test_the_rate_of_a_weight_layer_is_that_of_the_neuron_before_it(tiny):
    images = torch.randn(2, 1, 3, 6, 6)
    costs = {cost.name: cost for cost in profile_calls(tiny, lambda: tiny(images))}
    with torch.no_grad():
        rate = tiny.neuron(tiny.first(images)).mean().item()
    assert costs["neuron"].rate == pytest.approx(rate)
    assert costs["attention.q.conv"].rate == costs["neuron"].rate
    assert costs["first.conv"].rate == 1.0


def test_profiling_leaves_the_model_as_it_was(tiny):
    images = torch.randn(2, 1, 3, 6, 6)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    with torch.no_grad():
        profile_calls(tiny, lambda: tiny(images))
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert all(parameter.grad is None for parameter in tiny.parameters())
    assert not any(module._forward_hooks for module in tiny.modules())


def test_advice_says_what_deployment_does_away_with():
    assert "deploy` folds it" in LayerCost("a", "BatchNorm2d", rate=0.9).advice
    assert "skips the zeros" in LayerCost("a", "Conv2d 3x3", rate=0.04).advice


def test_advice_names_silence_and_slow_depthwise_gradients():
    assert "silent" in LayerCost("a", "Conv2d 3x3", rate=0.0).advice
    slow = LayerCost("a", "depthwise Conv2d 7x7", forward_ms=1.0, backward_ms=20.0, rate=0.2)
    assert "weight gradient" in slow.advice
    assert LayerCost("a", "Conv2d 3x3", forward_ms=1, backward_ms=2, rate=0.2).advice == ""
