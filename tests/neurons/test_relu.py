import torch

from spikevision.neurons import build_neuron


def test_relu_twin_is_relu_whatever_the_threshold():
    x = torch.tensor([[[-1.0, 0.0, 0.3, 5.0]]])
    twin = build_neuron(dict(type="ReLU"), v_threshold=0.5)
    assert twin(x).tolist() == [[[0.0, 0.0, x[0, 0, 2].item(), 5.0]]]


def test_relu_twin_has_no_memory():
    twin = build_neuron(dict(type="ReLU"))
    x = torch.randn(2, 3, 4)
    activation, state = twin(x, twin.initial_state(x))
    assert torch.equal(activation, twin(x))
    assert not state.any()
