import torch

from spikevision.layers import SpikeMaxPool2d
from spikevision.ops import packing
from spikevision.ops.packing import mark_spikes


def test_it_pools_as_pytorch_does_and_its_result_counts_as_spikes():
    spikes = mark_spikes((torch.rand(2, 3, 6, 6) < 0.3).float().requires_grad_())
    y = SpikeMaxPool2d(3, stride=2, padding=1)(spikes)
    assert torch.equal(y, torch.nn.MaxPool2d(3, 2, 1)(spikes))
    assert packing._largest(y) == 1
