from pathlib import Path

import pytest

from spikevision.jobs.config import check_data, check_precision, load_config, task_of


def test_an_override_that_nobody_would_read_is_refused_with_a_suggestion(config):
    with pytest.raises(ValueError, match="no field 'trian_cfg'; did you mean 'train_cfg'"):
        load_config(config, options={"trian_cfg.max_epochs": 1})


def test_a_field_of_the_runner_can_be_set_though_the_config_lacks_it(config):
    assert load_config(config, options={"load_from": "x.pth"}).load_from == "x.pth"


def test_missing_and_broken_configs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        load_config(tmp_path / "nowhere.py")
    (tmp_path / "broken.py").write_text("a = = 1")
    with pytest.raises(ValueError, match=r"broken\.py"):
        load_config(tmp_path / "broken.py")


def test_a_syntax_error_is_placed_in_the_file_that_the_user_wrote(tmp_path):
    (tmp_path / "base.py").write_text("a = 1\nx = dict(\n")
    (tmp_path / "own.py").write_text("_base_ = ['base.py']\n")
    with pytest.raises(
        ValueError, match=r"own\.py'.* syntax error in .*base\.py, line 2: '\(' was never closed"
    ):
        load_config(tmp_path / "own.py")


def test_mixed_precision_without_a_gpu_says_what_to_use(config, monkeypatch):
    from spikevision.jobs import config as module

    options = {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.dtype": "bfloat16"}
    amp = load_config(config, options=options)
    monkeypatch.setattr(module, "get_device", lambda: "cpu")
    with pytest.raises(
        ValueError, match=r"needs a GPU.*optim_wrapper\.type=OptimWrapper.* and remove dtype"
    ):
        check_precision(amp)
    check_precision(load_config(config))
    monkeypatch.setattr(module, "get_device", lambda: "cuda")
    check_precision(amp)


def test_a_config_without_task_lists_the_known_scopes(tmp_path):
    (tmp_path / "none.py").write_text("a = 1")
    with pytest.raises(ValueError, match="default_scope is None; known are 'mmpretrain'"):
        task_of(load_config(tmp_path / "none.py"))


def test_a_missing_data_folder_is_named_before_training(config, pictures):
    loaded = load_config(config, options={"val_dataloader.dataset.data_prefix": "gone"})
    check_data(loaded, loaders=("train_dataloader",))
    with pytest.raises(FileNotFoundError, match=r"val_dataloader: data '.*gone' does not exist"):
        check_data(loaded, loaders=("train_dataloader", "val_dataloader"))


def test_an_empty_data_folder_is_an_error(config, pictures: Path):
    for path in (pictures / "train").rglob("*.png"):
        path.unlink()
    with pytest.raises(ValueError, match="holds no file"):
        check_data(load_config(config), loaders=("train_dataloader",))


def test_data_inside_of_dataset_wrappers_is_checked(config):
    loaded = load_config(config)
    inner = dict(loaded.train_dataloader.dataset, data_root="/gone")
    loaded.train_dataloader.dataset = {"type": "RepeatDataset", "times": 2, "dataset": inner}
    with pytest.raises(FileNotFoundError, match="/gone"):
        check_data(loaded, loaders=("train_dataloader",))


def test_a_dataset_that_downloads_itself_may_be_missing(config):
    loaded = load_config(config)
    cifar = {"type": "CIFAR10", "data_prefix": "/gone/cifar10"}
    loaded.train_dataloader.dataset = cifar
    check_data(loaded, loaders=("train_dataloader",))
    cifar["download"] = False
    loaded.train_dataloader.dataset = cifar
    with pytest.raises(FileNotFoundError, match="/gone/cifar10"):
        check_data(loaded, loaders=("train_dataloader",))
