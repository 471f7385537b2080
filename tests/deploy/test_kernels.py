import torch
from torch import nn

from spikevision.deploy.int8 import Int8Conv2d
from spikevision.deploy.kernels import choose_kernels


def test_integer_kernels_are_tried_on_spikes_alone():
    torch.manual_seed(0)
    core = nn.Sequential(Int8Conv2d(nn.Conv2d(4, 4, 1)), Int8Conv2d(nn.Conv2d(4, 4, 1)))
    spikes = torch.zeros(2, 4, 3, 3)
    spikes[0] = 1
    choices = choose_kernels(core, lambda: core(spikes))
    assert set(choices["0"].milliseconds) == {"dense", "vnni"}
    assert choices["0"].rate == 0.5
    assert set(choices["1"].milliseconds) == {"dense"}  # its input is the output of the first one
    assert choices["1"].rate is None
    fastest = min(choices["0"].milliseconds, key=choices["0"].milliseconds.__getitem__)
    assert choices["0"].kernel == fastest


def test_ordinary_weights_have_no_integer_kernel():
    conv = nn.Conv2d(4, 4, 1)
    (choice,) = choose_kernels(conv, lambda: conv(torch.ones(1, 4, 2, 2))).values()
    assert choice.kernel == "dense"
