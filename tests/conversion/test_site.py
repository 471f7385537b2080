"""What a function call keeps from step to step, and where its populations come from."""

import pytest
import torch
import torch.nn.functional as F
from streams import assert_exact_on_means
from torch import nn

from spikevision.conversion import convert


class Shared(nn.Module):
    """One layer used for two inputs, as detection heads use theirs for every level."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4).double()

    def forward(self, x, y):
        return self.norm(x) + 2 * self.norm(y)


def test_a_module_used_twice_keeps_two_states():
    assert_exact_on_means(Shared(), (2, 4), (2, 4), atol=1e-9)


def test_a_path_that_calibration_never_saw_is_an_error():
    class Branch(nn.Module):
        def forward(self, x):
            return F.gelu(x) if x.shape[1] > 2 else torch.sigmoid(x)

    snn = convert(nn.Sequential(nn.LayerNorm(4), Branch()).eval(), [torch.randn(2, 3, 4)])
    with pytest.raises(ValueError, match=r"calibration never saw 1\.spiking_sigmoid"):
        snn(torch.randn(2, 2, 4))
