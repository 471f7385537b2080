import pytest
import torch
from torch import nn

from spikevision.layers import DropPath, SpikingResidual
from spikevision.neurons import LIF


class Times(nn.Module):
    """A body with one known weight."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


# one step of LIF at tau 2 fires iff its input is at least 2
@pytest.mark.parametrize(
    ("shortcut", "stream", "expected"),
    [
        ("membrane", [2.5, 1.0], [2.5 + 3 * 1, 1.0]),
        ("sew", [2.0, 0.0], [2.0 + 1, 0.0]),
        ("vanilla", [1.0, 0.0], [1.0, 0.0]),
    ],
)
def test_shortcut_joins_body_and_stream_as_defined(shortcut, stream, expected):
    block = SpikingResidual(Times(3.0), LIF(), shortcut=shortcut)
    x = torch.tensor(stream).view(1, 2, 1)
    assert block(x).flatten().tolist() == expected


def test_unknown_shortcut_lists_the_known_ones():
    with pytest.raises(ValueError, match="membrane"):
        SpikingResidual(Times(1.0), LIF(), shortcut="highway")


def test_drop_path_drops_a_sample_at_all_time_steps_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(3, 4000, 2)
    y = DropPath(0.25).train()(x)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(y, y[:1, :, :1].expand_as(y))
    assert y[0, :, 0].mean().item() == pytest.approx(1, abs=0.05)


def test_drop_path_is_identity_in_eval_mode():
    x = torch.randn(2, 3, 4)
    assert DropPath(0.9).eval()(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_path_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="drop path rate"):
        DropPath(rate)
