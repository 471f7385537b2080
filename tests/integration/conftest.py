"""Configs and checkpoints of tiny dense models in files, as the jobs take them."""

from pathlib import Path

import pytest
import torch


def _write(folder: Path, config, model, names) -> tuple[str, str]:
    """Config and checkpoint of an untrained model."""
    config.pop("work_dir", None)
    config.dump(folder / "tiny.py")
    state = {
        "state_dict": model.state_dict(),
        "meta": {"dataset_meta": {"classes": tuple(names)}},
    }
    torch.save(state, folder / "tiny.pth")
    return str(folder / "tiny.py"), str(folder / "tiny.pth")


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory) -> tuple[str, str]:
    """Files of a Mask R-CNN on the COCO folder ``data`` beside them."""
    from tiny_detectors import NAMES, build, runner_config

    folder = tmp_path_factory.mktemp("detector")
    config = runner_config(folder)
    return _write(folder, config, build(config), NAMES)


@pytest.fixture(scope="session")
def tiny_segmentor(tmp_path_factory) -> tuple[str, str]:
    """Files of a Semantic-FPN on the ADE20K-like folder ``data`` beside them."""
    from tiny_segmentors import SEMANTIC_FPN, build, enliven, runner_config, write_ade_folder

    folder = tmp_path_factory.mktemp("segmentor")
    write_ade_folder(folder / "data")
    config = runner_config(folder / "data", folder / "work")
    return _write(folder, config, enliven(build(SEMANTIC_FPN)), "abcde")
