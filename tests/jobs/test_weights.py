import pytest
import torch
from torch import nn

from spikevision.jobs.weights import check_resumable, load_weights


def test_weights_arrive_exactly_also_from_a_distributed_run(tmp_path):
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    load_weights(target, tmp_path / "w.pth")
    assert torch.equal(source.weight, target.weight)
    assert torch.equal(source.bias, target.bias)


def test_a_model_is_untouched_by_weights_that_do_not_fit(tmp_path):
    target = nn.Linear(3, 2)
    before = target.weight.clone()
    torch.save({"weight": torch.zeros(2, 3)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="1 missing: bias"):
        load_weights(target, tmp_path / "w.pth")
    assert torch.equal(target.weight, before)


def test_bare_weights_cannot_be_resumed_from(tmp_path):
    model = nn.Linear(3, 2)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="holds no optimizer, message_hub, meta.*load_from"):
        check_resumable(model, tmp_path / "w.pth")
