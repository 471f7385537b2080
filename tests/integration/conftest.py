"""Configs and checkpoints of tiny dense models in files, as the jobs take them."""

from pathlib import Path

import pytest
import torch


def _write(folder: Path, config, model, **dataset_meta) -> tuple[str, str]:
    """Config and checkpoint of an untrained model; the latter with what mmengine notes of the data."""
    config.pop("work_dir", None)
    config.dump(folder / "tiny.py")
    state = {
        "state_dict": model.state_dict(),
        "meta": {"dataset_meta": dataset_meta},
    }
    torch.save(state, folder / "tiny.pth")
    return str(folder / "tiny.py"), str(folder / "tiny.pth")


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory) -> tuple[str, str]:
    """Files of a Mask R-CNN on the COCO folder ``data`` beside them."""
    from tiny_detectors import NAMES, build, runner_config

    folder = tmp_path_factory.mktemp("detector")
    config = runner_config(folder)
    return _write(folder, config, build(config), classes=tuple(NAMES))


@pytest.fixture(scope="session")
def tiny_segmentor(tmp_path_factory) -> tuple[str, str]:
    """Files of a Semantic-FPN on the ADE20K-like folder ``data`` beside them."""
    from tiny_segmentors import (
        PALETTE,
        SEMANTIC_FPN,
        build,
        enliven,
        runner_config,
        write_ade_folder,
    )

    folder = tmp_path_factory.mktemp("segmentor")
    write_ade_folder(folder / "data")
    config = runner_config(folder / "data", folder / "work")
    model = enliven(build(SEMANTIC_FPN))
    return _write(folder, config, model, classes=tuple("abcde"), palette=PALETTE)
