"""What a worker makes of what it was sent; its training is in test_hooks.py, test_sweep_trial.py and test_launch.py."""

from types import SimpleNamespace

import pytest

pytest.importorskip("ray")
import ray.train  # noqa: E402

from spikevision.cluster import worker  # noqa: E402
from spikevision.cluster.storage import Storage  # noqa: E402

BATCH = "train_dataloader.batch_size"


@pytest.fixture
def one_of(monkeypatch):
    """Set how many workers there are."""

    def there_are(count: int) -> None:
        context = SimpleNamespace(get_world_size=lambda: count)
        monkeypatch.setattr(ray.train, "get_context", lambda: context)

    return there_are


def test_an_elastic_run_keeps_its_global_batch_at_every_size(one_of):
    shipped = {"workers": [1, 3], "batch_size": 4, "options": {"lr": 1}}
    one_of(3)
    assert worker._options(shipped) == {"lr": 1, BATCH: 4}
    one_of(1)
    assert worker._options(shipped) == {"lr": 1, BATCH: 12}
    one_of(2)
    assert worker._options({**shipped, "options": {BATCH: 2}}) == {BATCH: 3}


def test_a_fixed_size_keeps_the_batch_of_the_config():
    assert worker._options({"workers": [2, 2], "batch_size": 4, "options": {}}) == {}


def test_a_checkpoint_is_fetched_with_the_record_of_its_run(tmp_path):
    storage = Storage(str(tmp_path / "runs"))
    storage.write_json("one/run.json", {"resumed": 0})
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "checkpoint.pth").touch()
    checkpoint = ray.train.Checkpoint.from_directory(str(tmp_path / "kept"))
    found = worker._restore(checkpoint, storage, "one", tmp_path / "run")
    assert {path.name for path in found.iterdir()} == {"checkpoint.pth", "run.json"}
    assert worker._restore(None, storage, "one", tmp_path / "other") is None
