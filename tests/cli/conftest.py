"""A training that lasts until it is stopped."""

from pathlib import Path

import pytest
from tiny_training import CONFIG, write_pictures


@pytest.fixture
def long_config(tmp_path: Path) -> Path:
    """Config of a tiny training with epochs of 100 batches."""
    path = tmp_path / "long.py"
    text = CONFIG.format(root=write_pictures(tmp_path / "data"), imports=[], hooks=[])
    longer = "train_dataloader.update(dataset=dict(type='RepeatDataset', times=20, dataset=train_dataloader['dataset']))\n"
    path.write_text(text + longer)
    return path
