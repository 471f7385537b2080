from spikevision.cluster.history import History
from spikevision.cluster.storage import Storage


def test_a_history_goes_on_after_the_iteration_of_the_checkpoint(tmp_path):
    storage = Storage(str(tmp_path))
    first = History(storage, "metrics.jsonl")
    first.cut(0)
    assert first.last() is None
    for epoch in (1, 2, 3):
        first.add({"epoch": epoch, "iter": 10 * epoch, "loss": 0.5})
    first.write()
    second = History(storage, "metrics.jsonl")
    second.cut(25)
    second.add({"epoch": 3, "iter": 30, "loss": 0.25})
    second.write()
    third = History(storage, "metrics.jsonl")
    third.cut(100)
    assert third.last() == {"epoch": 3, "iter": 30, "loss": 0.25}
    assert len((storage.read("metrics.jsonl") or b"").splitlines()) == 3
