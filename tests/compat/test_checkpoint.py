import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint
from torch.utils.data import Dataset

from spikevision.compat import allow_mmengine_checkpoints
from spikevision.compat.checkpoint import CheckpointError, safe_load

allow_mmengine_checkpoints()


class Bomb:
    """Leaves a folder behind if its pickle is executed."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


class Getter:
    """Asks for an attribute of whatever the pickle names."""

    def __init__(self, owner, name):
        self.arguments = (owner, name)

    def __reduce__(self):
        return getattr, self.arguments


class Regression(BaseModel):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, targets, mode="tensor"):
        error = self.layer(torch.stack(list(inputs))) - torch.stack(list(targets))
        return {"loss": error.square().mean()} if mode == "loss" else error


class Points(Dataset):
    METAINFO = {"classes": ("a", "b"), "palette": np.zeros((2, 3), dtype=np.uint8)}
    metainfo = METAINFO

    def __len__(self):
        return 6

    def __getitem__(self, index):
        x = torch.tensor([index / 6, 1.0])
        return {"inputs": x, "targets": x.sum()[None]}


def runner(work_dir, epochs, name, resume=False):
    return Runner(
        model=Regression(),
        work_dir=str(work_dir),
        train_dataloader={
            "dataset": Points(),
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "pseudo_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler=[
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 4},
            {"type": "CosineAnnealingLR", "T_max": 4, "end": 4},
        ],
        custom_hooks=[{"type": "EMAHook"}],
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        randomness={"seed": 3},
        experiment_name=name,
        log_level="ERROR",
        resume=resume,
    )


def assert_same(one, other):
    """Compare nested state, tensors and arrays by value."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, HistoryBuffer):
        assert_same(list(one.data), list(other.data))
    elif isinstance(one, torch.Tensor | np.ndarray):
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


def test_a_real_run_saves_and_resumes_optimizer_schedulers_hooks_and_message_hub(tmp_path):
    first = runner(tmp_path, epochs=2, name=f"{tmp_path.name}_first")
    first.train()
    second = runner(tmp_path, epochs=3, name=f"{tmp_path.name}_second", resume=True)
    second.call_hook("before_run")
    second.optim_wrapper = second.build_optim_wrapper(second.optim_wrapper)
    second.optim_wrapper.initialize_count_status(second.model, 0, 9)
    second._train_loop = second.build_train_loop(second._train_loop)
    second.param_schedulers = second.build_param_scheduler(second.param_schedulers)
    second.load_or_resume()
    assert (second.epoch, second.iter) == (2, 6)
    assert_same(first.optim_wrapper.state_dict(), second.optim_wrapper.state_dict())
    assert_same(first.model.state_dict(), second.model.state_dict())
    assert_same(
        [s.state_dict() for s in first.param_schedulers],
        [s.state_dict() for s in second.param_schedulers],
    )
    ema = [
        next(h for h in r.hooks if type(h).__name__ == "EMAHook").ema_model.state_dict()
        for r in (first, second)
    ]
    assert_same(*ema)
    saved = safe_load(tmp_path / "epoch_2.pth")
    hub = second.message_hub.state_dict()
    losses = hub["log_scalars"]["train/loss"]
    assert len(losses.data[0]) == 6
    assert_same(saved["message_hub"]["log_scalars"]["train/loss"], losses)
    assert hub["runtime_info"]["iter"] == saved["message_hub"]["runtime_info"]["iter"]


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = runner(tmp_path / "whole", epochs=3, name=f"{tmp_path.name}_whole")
    whole.train()
    runner(tmp_path / "halves", epochs=2, name=f"{tmp_path.name}_half").train()
    rest = runner(tmp_path / "halves", epochs=3, name=f"{tmp_path.name}_rest", resume=True)
    rest.train()
    assert rest.iter == whole.iter == 9
    history = rest.message_hub.log_scalars["train/loss"].data[0]
    np.testing.assert_allclose(
        history, whole.message_hub.log_scalars["train/loss"].data[0], rtol=1e-6
    )
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(rest.model.state_dict()[name], value)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_mmengine_saves_is_read_in_both_formats_of_torch(tmp_path, zipped):
    hub = MessageHub("test_checkpoint")
    hub.update_scalar("loss", 0.5)
    hub.update_info("best", np.float32(0.25))
    state = {
        "state_dict": {"weight": torch.ones(2)},
        "message_hub": hub.state_dict(),
        "meta": {
            "dataset_meta": ConfigDict(classes=["a"], nested={"x": (1, 2)}),
            "epoch": np.int64(3),
        },
        "names": np.array(["cat", "dog"]),
        "flag": np.bool_(True),
    }
    torch.save(state, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    assert_same(safe_load(tmp_path / "c.pth"), state)


def test_an_array_written_by_numpy_1_is_read(tmp_path):
    array = pickle.dumps(np.arange(3), protocol=2)
    assert b"numpy._core.multiarray" in array
    torch.save({"array": np.arange(3)}, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "c.pth").read_bytes().replace(b"numpy._core.multi", b"numpy.core.multi")
    (tmp_path / "c.pth").write_bytes(data)
    assert safe_load(tmp_path / "c.pth")["array"].tolist() == [0, 1, 2]


def read_by_mmengine(path):
    load_checkpoint(torch.nn.Linear(2, 2), str(path))


def read_by_runner(path):
    runner(path.parent, 1, f"{path.parent.name}_foreign").resume(str(path))


@pytest.mark.parametrize("write", ["zip", "legacy", "raw"])
@pytest.mark.parametrize("reader", [safe_load, read_by_mmengine, read_by_runner])
def test_a_foreign_pickle_is_refused_by_name_and_nothing_of_it_runs(tmp_path, write, reader):
    path, trace = tmp_path / "c.pth", tmp_path / "trace"
    if write == "raw":
        path.write_bytes(pickle.dumps({"extra": Bomb(trace)}, protocol=2))
    else:
        content = {"state_dict": {"weight": torch.ones(2)}, "extra": Bomb(trace)}
        torch.save(content, path, _use_new_zipfile_serialization=write == "zip")
    with pytest.raises(
        CheckpointError, match=r"refused: it holds (posix|nt)\.mkdir.*nothing.*executed"
    ):
        reader(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "foreign",
    [
        Bomb("/nowhere"),
        Getter("", "upper"),
        Getter(np.ndarray, "tofile"),
        Getter(np.ndarray, "min"),
        Getter(HistoryBuffer, "update"),
        torch.nn.Linear(1, 1),
    ],
)
def test_what_is_not_data_is_refused(tmp_path, foreign):
    torch.save({"extra": foreign}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="refused"):
        safe_load(tmp_path / "c.pth")


def test_the_error_does_not_advise_to_switch_the_guard_off(tmp_path):
    torch.save({"extra": Bomb(tmp_path / "trace")}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError) as caught:
        safe_load(tmp_path / "c.pth")
    assert "weights_only" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named_with_its_size(tmp_path, zipped, share):
    path = tmp_path / "c.pth"
    torch.save({"weight": torch.ones(100)}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(data)
    with pytest.raises(
        CheckpointError, match=rf"c\.pth.*\({len(data)} bytes\) cannot be read.*truncated"
    ):
        safe_load(path)


@pytest.mark.parametrize(
    "content", [b"<html>404</html>", b"hello", pickle.dumps({"a": 1}), bytes(64)]
)
def test_a_file_that_is_no_checkpoint_is_said_to_be_none(tmp_path, content):
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint|not a checkpoint"):
        safe_load(tmp_path / "c.pth")


def test_a_missing_file_and_a_folder_are_missing(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no checkpoint file"):
            safe_load(path)


def test_a_list_is_no_checkpoint(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="holds a list"):
        safe_load(tmp_path / "c.pth")
