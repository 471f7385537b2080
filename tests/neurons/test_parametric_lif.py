import pytest
import torch

from spikevision.neurons import LIF, ParametricLIF


def run(module, x, weight):
    x = x.clone().requires_grad_()
    spikes = module(x)
    (parameter,) = module.parameters()
    return spikes.detach(), *torch.autograd.grad(spikes, [x, parameter], weight)


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.1, None])
@pytest.mark.parametrize("init_tau", [2.0, 1.7])
def test_spikes_and_gradients_equal_spikingjellys(decay_input, v_reset, init_tau):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    arguments = {"init_tau": init_tau, "decay_input": decay_input, "v_reset": v_reset}
    theirs = neuron.ParametricLIFNode(
        detach_reset=True,
        surrogate_function=surrogate.Sigmoid(alpha=4.0),
        step_mode="m",
        **arguments,
    ).double()
    ours = ParametricLIF(**arguments).double()
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 5, 300, dtype=torch.float64, generator=generator)
    got, expected = run(ours, x * 2, weight), run(theirs, x * 2, weight)
    assert torch.equal(got[0], expected[0])
    torch.testing.assert_close(got[1], expected[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got[2], expected[2], rtol=1e-12, atol=1e-11)
    assert got[2].abs() > 1e-3


def test_it_starts_as_a_lif_of_its_first_time_constant():
    x = torch.randn(6, 2, 50, generator=torch.Generator().manual_seed(3)) * 2
    assert torch.equal(ParametricLIF(2.0)(x), LIF(2.0)(x))
    assert ParametricLIF(3.0).tau == pytest.approx(3.0)


def test_training_moves_the_time_constant_and_the_state_dict_keeps_only_it():
    neuron = ParametricLIF(2.0)
    x = torch.full((6, 1, 4), 1.5)
    for _ in range(5):
        (-neuron(x).sum()).backward()  # more spikes need a shorter time constant
        with torch.no_grad():
            neuron.w -= 0.1 * neuron.w.grad
    assert neuron.tau < 1.9
    assert list(neuron.state_dict()) == ["w"]


def test_half_precision_input_reaches_the_float32_parameter():
    neuron = ParametricLIF()
    x = (torch.randn(4, 2, 20, generator=torch.Generator().manual_seed(4)) * 2).bfloat16()
    assert neuron(x).dtype == torch.bfloat16
    neuron(x).sum().backward()
    assert neuron.w.grad.dtype == torch.float32
    assert neuron.w.grad != 0


def test_a_time_constant_of_one_step_or_less_is_refused():
    with pytest.raises(ValueError, match="tau must be more than 1"):
        ParametricLIF(1.0)
