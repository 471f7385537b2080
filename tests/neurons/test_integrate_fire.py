import pytest
import torch

from spikevision.neurons import IF


def test_it_fires_after_the_sum_of_its_inputs_reaches_the_threshold():
    x = torch.tensor([0.5, 0.25, 0.25, 0.75, 0.5]).view(5, 1)
    assert IF()(x).flatten().tolist() == [0, 0, 1, 0, 1]


def test_a_soft_reset_keeps_the_firing_rate_of_a_constant_input():
    x = torch.full((16, 1), 0.375)
    assert IF(v_reset=None)(x).sum().item() == 6  # 16 * 0.375


@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("detach_reset", [True, False])
def test_spikes_and_gradients_equal_spikingjellys(v_reset, detach_reset):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    theirs = neuron.IFNode(
        v_reset=v_reset,
        detach_reset=detach_reset,
        surrogate_function=surrogate.ATan(alpha=2.0),
        step_mode="m",
    )
    ours = IF(v_reset=v_reset, detach_reset=detach_reset, surrogate="atan")
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 5, 300, dtype=torch.float64, generator=generator)
    results = []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        spikes = module(leaf)
        results.append((spikes.detach(), torch.autograd.grad(spikes, leaf, weight)[0]))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-12, atol=1e-12)
