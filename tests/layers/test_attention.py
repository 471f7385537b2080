import pytest
import torch
from torch import nn

from spikevision.layers import ATTENTIONS, MaskedSpikingAttention
from spikevision.ops.attention import spiking_attention


@pytest.mark.parametrize("tokens", [3, 40])  # fewer and more tokens than the head width of 16
def test_both_orders_of_the_product_are_equal_to_the_bit_on_spikes(tokens):
    torch.manual_seed(0)
    q, k, v = (torch.rand(2, 3, 4, 16, tokens).round() for _ in "qkv")
    direct = ((q.mT @ k) @ v.mT).mT * 0.125  # (Q K^T) V with tokens first
    assert torch.equal(spiking_attention(q, k, v, scale=0.125), direct)


def test_masked_attention_gates_queries_by_a_mask_per_channel():
    layer = MaskedSpikingAttention(
        2, num_heads=1, neuron=None, weight=nn.Identity, out_weight=nn.Identity
    )
    q = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]).view(1, 1, 1, 2, 3)
    k = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 1, 2, 3)
    v = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]).view(1, 1, 1, 2, 3)
    # sums over tokens of K * V: 1 in channel 0, 0 in channel 1; one step fires at an input of 2 * 0.5
    expected = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).view(1, 1, 1, 2, 3)
    assert torch.equal(layer.attend(q, k, v), expected)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_heads_must_divide_the_channels(name):
    with pytest.raises(ValueError, match="10 channels do not divide into 4 heads"):
        ATTENTIONS[name](10, num_heads=4, neuron=None, weight=nn.Identity, out_weight=nn.Identity)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_neuron_fires_at_half_the_threshold(name):
    layer = ATTENTIONS[name](
        8, num_heads=2, neuron=dict(type="LIF"), weight=nn.Identity, out_weight=nn.Identity
    )
    assert layer.attention_neuron.v_threshold == 0.5
    assert layer.q_neuron.v_threshold == 1.0
