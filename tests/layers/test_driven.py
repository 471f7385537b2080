import pytest
import torch
from torch import nn

from spikevision.layers import fold_
from spikevision.layers.driven import SpikeDriven, SpikingReadout
from spikevision.neurons import LIF
from spikevision.ops import neuron_backend


def lif_by_hand(x):
    """Published LIF (tau 2, threshold 1, hard reset) as a loop over time."""
    v, spikes = torch.zeros_like(x[0]), []
    for current in x:
        h = v + (current - v) / 2
        s = (h >= 1).to(x)
        v = h * (1 - s)
        spikes.append(s)
    return torch.stack(spikes)


def test_weights_see_the_spikes_of_each_time_step():
    torch.manual_seed(0)
    driven = SpikeDriven(nn.Conv2d(3, 5, 3, padding=1)).double()
    x = 3 * torch.randn(4, 2, 3, 6, 7, dtype=torch.float64)
    expected = torch.stack([driven.layer(s) for s in lif_by_hand(x)])
    assert torch.equal(driven(x), expected)
    assert expected.std() > 0


def test_linear_layers_and_norms_take_the_folded_time_as_well():
    torch.manual_seed(0)
    driven = SpikeDriven(nn.Linear(6, 4, bias=False), norm=nn.BatchNorm1d(4)).double()
    y = driven(3 * torch.randn(3, 20, 6, dtype=torch.float64))
    assert y.shape == (3, 20, 4)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(4, dtype=torch.float64))


@pytest.fixture
def readout():
    torch.manual_seed(0)
    return SpikingReadout(nn.Conv2d(3, 5, 1)).double()


@pytest.fixture
def potential():
    return 3 * torch.randn(4, 2, 3, 6, 7, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_readout_averages_logits_over_time(readout, potential, training):
    expected = sum(readout.layer(s) for s in lif_by_hand(potential)) / 4
    logits = readout.train(training)(potential)
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (2, 5, 6, 7)


def gradients(readout, potential):
    x = potential.clone().requires_grad_()
    parameters = [*readout.parameters()]
    return torch.autograd.grad(readout(x).square().sum(), [x, *parameters])


@pytest.mark.parametrize("backend", ["plain", "chunked"])
def test_gradients_of_the_average_are_those_of_all_time_steps(readout, potential, backend):
    with neuron_backend(backend):
        of_average = gradients(readout, potential)
        readout.layer.register_forward_hook(lambda *_: None)
        torch.testing.assert_close(of_average, gradients(readout, potential))
    assert of_average[0].abs().min() > 0


def test_the_layer_works_once_on_the_average_unless_somebody_looks(readout, potential, monkeypatch):
    seen, forward = [], nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: (seen.append(x), forward(self, x))[1])
    readout(potential)
    readout.layer.register_forward_hook(lambda *_: None)
    readout(potential)
    spikes = lif_by_hand(potential)
    assert torch.equal(seen[0], spikes.mean(0))
    assert torch.equal(seen[1], spikes.flatten(0, 1))


@pytest.mark.parametrize("time_steps", [1, 4])
def test_a_deep_chain_fires_after_init_weights_and_is_silent_behind_the_usual_initialisation(
    time_steps,
):
    torch.manual_seed(0)
    x = 2 * torch.randn(time_steps, 2, 64, 12, 12)
    chain = nn.Sequential(*(SpikeDriven(nn.Conv2d(64, 64, 3, padding=1)) for _ in range(6)))
    for driven in chain:
        nn.init.kaiming_normal_(driven.layer.weight)
    assert LIF()(chain(x)).mean() < 1e-3
    for driven in chain:
        driven.init_weights()
    assert 0.1 < LIF()(chain(x)).mean() < 0.4


def test_a_chain_with_norms_fires_after_init_weights():
    torch.manual_seed(0)
    layers = [
        SpikeDriven(nn.Conv2d(64, 64, 3, padding=1, bias=False), norm=nn.BatchNorm2d(64))
        for _ in range(6)
    ]
    for driven in layers:
        driven.init_weights()
    assert 0.1 < LIF()(nn.Sequential(*layers)(2 * torch.randn(2, 2, 64, 12, 12))).mean() < 0.4


def test_transposed_convolutions_are_scaled_by_the_inputs_that_one_output_sums():
    torch.manual_seed(0)
    driven = SpikeDriven(nn.ConvTranspose2d(256, 64, 2, stride=2))
    driven.init_weights()
    # kernel = stride: every output pixel sums one pixel of 256 channels, 6 / sqrt(256) = 0.375
    assert driven.layer.weight.std().item() == pytest.approx(0.375, rel=0.02)
    assert driven.layer.bias.abs().max() == 0


@torch.no_grad()
@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(3, 4, 2, stride=2)])
def test_folding_puts_the_norm_into_the_layer(layer):
    norm = nn.BatchNorm2d(4)
    norm.running_var.uniform_(0.5, 2)
    norm.running_mean.normal_()
    driven = SpikeDriven(layer, norm=norm).double().eval()
    x = 2 * torch.randn(2, 3, 3, 5, 5, dtype=torch.float64)
    expected = driven(x)
    assert fold_(driven).norm is None
    torch.testing.assert_close(driven(x), expected)
