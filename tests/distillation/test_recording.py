import pytest
import torch
from torch import nn

from spikevision.distillation.recording import find_module, recorded_outputs


class TwoLevels(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(2, 2)
        self.idle = nn.Linear(2, 2)

    def forward(self, x):
        return [self.shared(x), self.shared.forward(2 * x)], [x]


def test_outputs_are_seen_in_order_also_when_forward_is_called_directly():
    model, x = TwoLevels(), torch.ones(1, 2)
    with recorded_outputs(model, ["shared"], role="student") as seen:
        (first, second), _ = model(x)
    assert seen["shared"][0] is first
    assert seen["shared"][1] is second


def test_of_a_dense_head_the_first_list_is_taken():
    model, x = TwoLevels(), torch.ones(1, 2)
    with recorded_outputs(model, [""], role="teacher") as seen:
        expected, _ = model(x)
    assert all(a is b for a, b in zip(seen[""], expected, strict=True))


def test_the_model_is_as_before_when_the_context_ends():
    model = TwoLevels()
    with recorded_outputs(model, ["shared"], role="student"):
        model(torch.ones(1, 2))
    assert "forward" not in vars(model.shared)


def test_a_module_that_does_not_run_is_an_error():
    model = TwoLevels()
    with (
        pytest.raises(ValueError, match="'idle' of the teacher gave no output"),
        recorded_outputs(model, ["idle"], role="teacher"),
    ):
        model(torch.ones(1, 2))


def test_an_unknown_module_is_an_error_with_near_names():
    with pytest.raises(ValueError, match="no module 'shred'; near names: shared"):
        find_module(TwoLevels(), "shred", role="student")
