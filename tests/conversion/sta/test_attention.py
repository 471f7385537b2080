"""Attention on running means: exact without neurons, against torch's own functions."""

import pytest
import torch
import torch.nn.functional as F
from streams import Call, assert_exact_on_means
from torch import nn

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.fidelity import snr_db

HEADS = [(2, 2, 5, 3)] * 3
MASK = torch.ones(5, 5, dtype=torch.bool).tril()
BIAS = torch.zeros(5, 5, dtype=torch.float64).masked_fill(~MASK, -torch.inf)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"attn_mask": MASK}, {"attn_mask": BIAS}, {"is_causal": True}, {"scale": 0.3}],
)
def test_scaled_dot_products_are_those_of_the_means(kwargs):
    attend = Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **kwargs))
    assert_exact_on_means(attend, *HEADS)


def test_softmax_written_out_is_that_of_the_means():
    bias = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double()
    attend = Call(lambda q, k, v: torch.softmax(q @ k.transpose(-2, -1) + bias, -1) @ v)
    assert_exact_on_means(attend, *HEADS)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masks", ["none", "bool", "padding", "both"])
def test_multihead_attention_is_that_of_torch(batch_first, masks):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first).double().eval()
    given = {"need_weights": False}
    if masks in ("bool", "both"):
        given["attn_mask"] = ~MASK
    if masks in ("padding", "both"):
        given["key_padding_mask"] = torch.tensor([[False] * 5, [False] * 4 + [True]])
    shape = (2, 5, 8) if batch_first else (5, 2, 8)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, x, x, **given)[0]

    assert_exact_on_means(Block().eval(), shape, atol=1e-9)


def test_cross_attention_with_keys_of_another_width():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True).double().eval()
    block = Call(lambda q, k: attention(q, k, k)[0])
    block.attention = attention
    assert_exact_on_means(block, (2, 3, 8), (2, 5, 6), atol=1e-9)


@pytest.mark.parametrize("kwargs", [{"add_bias_kv": True}, {"add_zero_attn": True}])
def test_rare_options_of_multihead_attention_are_refused(kwargs):
    block = nn.Sequential(nn.Linear(4, 4), Call(lambda x: attention(x, x, x)[0])).eval()
    attention = nn.MultiheadAttention(4, 1, **kwargs).eval()
    with pytest.raises(ValueError, match="not supported"):
        convert(block, [torch.randn(3, 2, 4)])


def test_softmax_of_hinges_keeps_masked_keys_at_0_and_rows_at_1():
    probability = nn.Sequential(
        nn.Linear(5, 5), Call(lambda x: torch.softmax(x + BIAS.float(), -1))
    ).eval()
    x = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0))
    snn = convert(probability, [x])
    found = snn.without_spikes(x)
    assert torch.equal(found == 0, (~MASK).expand_as(found))
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 5), atol=0.002, rtol=0)
    assert snr_db(probability(x), found) > 50


def test_attention_of_spikes_gains_6_db_per_doubling():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True).eval()
    x = torch.randn(4, 6, 16)
    curve = convert(layer, [x], STAConfig()).run(x, 64, at=[16, 32, 64])
    wanted = layer(x)
    snr = [snr_db(wanted, curve[t]) for t in (16, 32, 64)]
    assert snr[0] > 12
    assert all(4 < after - before < 9 for before, after in zip(snr, snr[1:], strict=False))


def test_a_channel_of_large_keys_does_not_spoil_the_others():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    with torch.no_grad():
        attention.in_proj_weight.mul_(4)
        attention.in_proj_bias[8 + 1] = (
            200.0  # of the keys, as in real networks; softmax does not see it
        )
    block = Call(lambda x: attention(*[F.relu(x)] * 3)[0])
    block.attention = attention
    x = torch.randn(2, 5, 8)
    snn = convert(block.eval(), [x], STAConfig(preset="ecmt"), rules={"attention.out_proj": None})
    channels = {p.name.rpartition("_")[2]: p.channels for p in snn.report.populations}
    assert channels["key"] == 8  # 2 heads of 4 channels
    assert snr_db(block(x), snn.run(x, 6)[6]) > 20
