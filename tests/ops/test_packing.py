import gc

import pytest
import torch

from spikevision.neurons import LIF
from spikevision.ops import fold_time, packing
from spikevision.ops.attention import spiking_attention
from spikevision.ops.packing import add_spikes, mark_like, mark_spikes, spikes_saved_as_bits


def saved_bytes(function):
    """Bytes that autograd keeps for the backward pass of ``function()``, packed ones as packed."""
    total = 0

    def pack(tensor):
        nonlocal total
        kept = packing.pack(tensor)
        kept_tensor = kept if isinstance(kept, torch.Tensor) else kept.memory
        total += kept_tensor.numel() * kept_tensor.itemsize
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, packing.unpack):
        function()
    return total


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_keeps_marked_spikes_as_one_bit_each(memory_format):
    spikes = (torch.rand(8, 16, 5, 7) < 0.3).float().to(memory_format=memory_format)
    spikes = mark_spikes(spikes.requires_grad_())
    conv = torch.nn.Conv2d(16, 4, 3, bias=False)
    expected = spikes.numel() // 8 + conv.weight.numel() * 4
    assert saved_bytes(lambda: conv(spikes)) == expected


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("part", [lambda s: s, lambda s: s[1:3], lambda s: s.mT])
def test_gradients_through_packed_spikes_and_their_views_are_equal_to_the_bit(memory_format, part):
    current = torch.randn(4, 3, 5, 7).to(memory_format=memory_format).unsqueeze(0)
    weight = torch.nn.Conv2d(3, 6, 3)

    def gradients(neuron):
        x = current.clone().requires_grad_()
        with spikes_saved_as_bits():
            weight(part(fold_time(neuron(x)))).square().sum().backward()
        grads = [x.grad, weight.weight.grad.clone()]
        weight.zero_grad()
        return grads

    packed, kept = (
        gradients(LIF(v_threshold=0.3)),
        gradients(LIF(v_threshold=0.3, spike_packing=False)),
    )
    assert packed[1].abs().sum() > 0
    for one, other in zip(packed, kept, strict=True):
        assert torch.equal(one, other)


def test_spikes_that_were_overwritten_are_not_taken_for_spikes():
    spikes = mark_spikes((torch.rand(64) < 0.5).float())
    spikes.mul_(0.5)
    weight = torch.ones(64, requires_grad=True)
    with spikes_saved_as_bits():
        (weight * spikes).sum().backward()
    assert torch.equal(weight.grad, spikes)


def spikes_like(*shape):
    return mark_spikes((torch.rand(shape) < 0.5).float().requires_grad_())


def test_a_sum_of_spikes_is_kept_as_one_byte_each_and_multiplied_exactly():
    x = spikes_like(40)
    for _ in range(3):
        x = add_spikes(x, spikes_like(40))
    weight = torch.rand(40, requires_grad=True)
    assert saved_bytes(lambda: weight * x) == 40 + 40 * 4
    with spikes_saved_as_bits():
        (weight * x).sum().backward()
    assert x.max() == 4
    assert torch.equal(weight.grad, x)


def test_a_sum_with_what_is_no_spike_and_numbers_above_a_byte_are_kept_as_they_are():
    x = spikes_like(40)
    weight = torch.rand(40, requires_grad=True)
    real = add_spikes(x, torch.rand(40, requires_grad=True))
    large = add_spikes(mark_spikes(x * 0 + 255, largest=255), x)
    for result in (real, large):
        assert saved_bytes(lambda result=result: weight * result) == 2 * 40 * 4


def test_a_copy_of_spikes_counts_as_spikes_and_one_of_other_values_does_not():
    weight = torch.ones(40, requires_grad=True)
    for x, kept in ((spikes_like(40), 5), (torch.rand(40, requires_grad=True), 160)):
        copy = mark_like(x.clone(), x)
        assert saved_bytes(lambda copy=copy: weight * copy) == kept + 160


@pytest.mark.parametrize("tokens", [4, 36])
def test_both_orders_of_attention_keep_spikes_as_bits(tokens):
    q, k, v = (spikes_like(3, 2, tokens, 2, 16).permute(0, 1, 3, 4, 2) for _ in "qkv")
    inner = 3 * 2 * 2 * min(tokens, 16) ** 2 * 4  # the product of two, in float32
    bits = 3 * q.numel() // 8
    assert saved_bytes(lambda: spiking_attention(q, k, v, scale=0.5)) == bits + inner


def test_a_tensor_that_was_not_marked_is_kept_as_it_is():
    ones = torch.ones(64, requires_grad=True)
    assert saved_bytes(lambda: ones.square()) == 64 * 4


def test_a_mark_goes_when_the_spikes_go():
    gc.collect()
    before = len(packing._marks)
    spikes = mark_spikes(torch.zeros(8))
    view = spikes.view(2, 4)
    del spikes
    assert len(packing._marks) == before + 1
    del view
    assert len(packing._marks) == before


def test_a_neuron_marks_its_spikes_only_when_gradients_are_wanted():
    gc.collect()
    before = len(packing._marks)
    neuron, x = LIF(), torch.randn(2, 3, 4)
    silent = neuron(x)
    assert len(packing._marks) == before
    spikes = neuron(x.requires_grad_())
    assert len(packing._marks) == before + 1
    del silent, spikes


@pytest.mark.parametrize("name", ["meta", "spikformer"])
def test_the_gradients_of_a_backbone_are_equal_with_and_without_packing(name):
    from spikevision.backbones import MetaSpikeFormer, Spikformer

    def build(packing):
        neuron = dict(type="spikevision.LIF", spike_packing=packing)
        torch.manual_seed(0)
        if name == "meta":
            arch = dict(embed_dims=(8, 16, 16, 24), num_heads=2, depths=(1, 1))
            return MetaSpikeFormer(arch, time_steps=2, neuron=neuron)
        arch = dict(embed_dims=32, depth=1, num_heads=2)
        return Spikformer("cifar", arch, time_steps=2, neuron=neuron)

    images = torch.randn(2, 3, 32, 32)
    results = []
    for flag in (True, False):
        model = build(flag).double().train()
        model(images.double())[0].square().sum().backward()
        results.append([p.grad for p in model.parameters()])
    assert any(grad is not None and grad.abs().sum() > 0 for grad in results[0])
    for one, other in zip(*results, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
