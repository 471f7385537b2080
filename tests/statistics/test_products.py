import pytest
import torch
from brute_force import product_operations, spikes_like

from spikevision.layers.attention import MaskedSpikingProduct, SpikingProduct
from spikevision.ops.slots import encode_slots
from spikevision.statistics import SpikeRecorder
from spikevision.statistics.tensor_summary import Kind


def layers_of(product, *operands):
    with SpikeRecorder(product) as recorder:
        product(*operands)
    return recorder.record.layers


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize(("width", "tokens"), [(3, 7), (7, 3), (4, 4)])
def test_both_products_equal_a_count_of_every_addition(width, tokens, levels):
    q, k, v = (spikes_like(2, 2, 3, width, tokens, levels=levels, seed=seed) for seed in range(3))
    inner, outer = layers_of(SpikingProduct(0.125), q, k, v).values()
    assert (inner.total("synops"), outer.total("synops")) == product_operations(q, k, v)
    assert inner.total("macs") == 2 * 2 * 3 * width * tokens * min(width, tokens)
    assert outer.total("macs") == inner.total("macs")


def test_the_name_of_a_product_says_in_which_order_it_was_computed():
    x = spikes_like(1, 1, 1, 2, 5)
    assert list(layers_of(SpikingProduct(1.0), x, x, x)) == ["[k^T v]", "[q (k^T v)]"]
    x = x.mT.contiguous()
    assert list(layers_of(SpikingProduct(1.0), x, x, x)) == ["[q k^T]", "[(q k^T) v]"]


def test_the_masked_product_adds_where_key_and_value_spike_together():
    k, v = (spikes_like(2, 1, 2, 3, 4, seed=seed) for seed in range(2))
    (entry,) = layers_of(MaskedSpikingProduct(), k, v).values()
    assert entry.per_step("synops") == [int((k * v)[t].sum()) for t in range(2)]
    assert entry.total("macs") == k.numel()


def test_a_product_of_real_values_has_no_spikes_to_count():
    q = spikes_like(1, 1, 1, 2, 5)
    inner, outer = layers_of(SpikingProduct(1.0), q, q + 0.5, q).values()
    assert "synops" not in inner.by_size["2x5"]
    assert outer.total("synops") == int(q.sum()) * 2


def test_steps_are_counted_apart():
    q = torch.zeros(2, 1, 1, 2, 5)
    q[1] = 1
    inner, outer = layers_of(SpikingProduct(1.0), q, q, q).values()
    assert inner.per_step("synops") == [0, 2 * 2 * 5]
    assert outer.per_step("synops") == [0, 10 * 2]


@pytest.mark.parametrize(("width", "tokens"), [(3, 7), (7, 3)])
def test_unrolled_spikes_add_in_their_slots_what_the_numbers_add(width, tokens):
    q, k, v = (spikes_like(2, 2, 3, width, tokens, levels=3, seed=seed) for seed in range(3))
    slots = [encode_slots(x, 3) for x in (q, k, v)]
    inner, outer = layers_of(SpikingProduct(0.125), *slots).values()
    assert (inner.total("synops"), outer.total("synops")) == product_operations(q, k, v)
    assert inner.kind is outer.kind is Kind.BINARY
    assert len(inner.per_step("synops")) == 3 * 2
    assert inner.total("macs") == 3 * 2 * 2 * 3 * width * tokens * min(width, tokens)
    (masked,) = layers_of(MaskedSpikingProduct(), *slots[1:]).values()
    assert masked.total("synops") == int((k * v).sum())


def test_the_second_slot_adds_what_has_fired_up_to_it_worked_by_hand():
    two = encode_slots(torch.full((1, 1, 1, 1, 1), 2.0), 2)
    inner, _ = layers_of(SpikingProduct(1.0), two, two, two).values()
    assert inner.per_step("synops") == [1, 3]  # 1 x 1, then 1 x 2 and 1 x 1
