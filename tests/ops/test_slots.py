"""Spikes in slots against the whole numbers that they stand for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from spikevision.ops import SpikeSlots, fold_time, total, unfold_like
from spikevision.ops.slots import encode_slots


def counts(*shape, levels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels + 1, shape, generator=generator).double()


def test_a_number_fires_in_its_first_slots_worked_by_hand():
    spikes = encode_slots(torch.tensor([[0.0, 1.0], [3.0, 2.0]]), 3)  # T = 2
    assert spikes.tolist() == [[0, 1], [1, 1], [0, 0], [1, 1], [0, 0], [1, 0]]  # slot 0: t 0, 1 ...
    assert total(spikes).tolist() == [[0, 1], [3, 2]]
    assert total(encode_slots(torch.tensor([[0.0, 4.0]]), 4, normalised=True)).tolist() == [[0, 1]]


LAYERS = {
    "convolution": nn.Conv2d(3, 4, 3, padding=1),
    "strided, in groups, without bias": nn.Conv2d(3, 6, 3, stride=2, groups=3, bias=False),
    "transposed": nn.ConvTranspose2d(3, 2, 2, stride=2),
    "linear": nn.Linear(6, 5),
    "max-pool": nn.MaxPool2d(3, 2, 1),
    "average pool": nn.AdaptiveAvgPool2d(2),
    "dropout": nn.Dropout2d(0.5).eval(),
    "upsampling": nn.Upsample(scale_factor=2, mode="bilinear"),
}


@torch.no_grad()
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_of_spikes_what_they_give_of_numbers(name, normalised):
    layer, numbers = LAYERS[name].double(), counts(2, 3, 3, 6, 6)
    spikes = encode_slots(numbers, 4, normalised=normalised)
    expected = layer(fold_time(numbers / (4 if normalised else 1))).unflatten(0, (2, 3))
    found = unfold_like(layer(fold_time(spikes)), spikes)
    torch.testing.assert_close(total(found), expected, rtol=0, atol=1e-12)
    if name in ("max-pool", "dropout"):
        assert isinstance(found, SpikeSlots)
        assert set(found.unique().tolist()) == {0, 1}
    else:
        assert type(found) is torch.Tensor


@settings(max_examples=30, deadline=None)
@given(
    time_steps=st.integers(1, 3),
    levels=st.tuples(*[st.integers(1, 5)] * 3),
    tokens=st.integers(1, 4),
    width=st.integers(1, 4),
)
def test_products_of_spikes_equal_products_of_numbers_exactly(time_steps, levels, tokens, width):
    q, k, v = (counts(time_steps, 2, width, tokens, levels=level, seed=level) for level in levels)
    in_slots = [encode_slots(x, level) for x, level in zip((q, k, v), levels, strict=True)]
    assert torch.equal((in_slots[2] @ in_slots[1].mT) @ in_slots[0], v @ k.mT @ q)
    assert torch.equal(in_slots[2] @ (in_slots[1].mT @ in_slots[0]), v @ (k.mT @ q))
    both = in_slots[1] * in_slots[2]
    assert set(both.unique().tolist()) <= {0, 1}
    assert torch.equal(total(both), k * v)
    assert torch.equal(both.sum(-1, keepdim=True), (k * v).sum(-1, keepdim=True))


def test_every_product_of_attention_has_a_binary_operand(monkeypatch):
    seen = []
    real = torch.Tensor.matmul
    q, k = (encode_slots(counts(1, 4, 5, seed=seed), 4) for seed in (0, 1))
    from spikevision.ops import slots

    monkeypatch.setitem(
        slots.RULES,
        torch.Tensor.matmul,
        lambda func, a, b: slots._matmul(lambda x, y: seen.append((x, y)) or real(x, y), a, b),
    )
    q.mT @ k
    assert len(seen) == 2 * 4 - 1  # four slots of each, and nothing fired before the first
    for a, b in seen:
        assert min(a.max(), b.max()) <= 1


def test_a_sum_of_spike_trains_is_both_of_them():
    a, b = counts(2, 3, levels=4), counts(2, 3, levels=2, seed=1)
    both = encode_slots(a, 4) + encode_slots(b, 2)
    assert (both.shape[0], both.slots) == (12, 6)
    assert set(both.unique().tolist()) <= {0, 1}
    assert torch.equal(total(both), a + b)
    assert torch.equal(encode_slots(a, 4) + 0.5 * b, a + 0.5 * b)  # with numbers it is numbers
    assert torch.equal(encode_slots(a, 4).mean(-1), a.mean(-1))


def test_no_slots_of_no_images_still_have_their_time_steps():
    spikes = encode_slots(torch.zeros(2, 0, 3), 4)
    assert unfold_like(nn.Linear(3, 5)(fold_time(spikes)), spikes).shape == (2, 0, 5)


@pytest.mark.parametrize(
    "operation",
    [torch.relu, lambda x: x[0], lambda x: x.transpose(0, 1), lambda x: x.mH, functional.softmax],
)
def test_an_operation_without_a_rule_is_an_error_that_names_it(operation):
    with pytest.raises(ValueError, match=r"spikes in slots met .*x.detach\(\)"):
        operation(encode_slots(counts(1, 2, 2), 4))


def test_max_pooling_of_a_sum_is_refused():
    spikes = encode_slots(counts(1, 2, 4, 4), 4)
    with pytest.raises(ValueError, match="pool the output of a neuron"):
        functional.max_pool2d(spikes + spikes, 2)


def test_slots_that_do_not_fit_into_memory_are_refused_before_they_are_made():
    image = torch.zeros(()).expand(1, 1, 64, 1024, 1024)
    with pytest.raises(
        ValueError, match=r"100000 slots .* need [0-9.]+ GB and [0-9.]+ GB are free"
    ):
        encode_slots(image, 100_000)
