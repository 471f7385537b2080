"""The peak that the memory benchmark finds, on a model whose tensors can be counted."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

SCRIPT = Path(__file__).parents[2] / "tools" / "benchmarks" / "training_memory.py"


@pytest.fixture(scope="module")
def training_memory():
    spec = importlib.util.spec_from_file_location("training_memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Squares(nn.Module):
    """Sum of the squares of a product: keeps the product and its factor for the backward pass."""

    def __init__(self, numbers):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.numbers = numbers

    def data_preprocessor(self, batch, training):
        return batch

    def forward(self, mode):
        return {"loss": (self.weight * torch.ones(self.numbers)).pow(2).sum()}

    def parse_losses(self, losses):
        return losses["loss"], losses


def test_peak_holds_what_is_kept_and_grows_with_it(training_memory):
    once, four_times = (
        training_memory.peak_of_step(Squares(numbers), {}) for numbers in (100_000, 400_000)
    )
    kept = 2 * 4 * 100_000
    assert kept <= once <= 3 * kept
    assert four_times / once == pytest.approx(4, rel=0.01)
