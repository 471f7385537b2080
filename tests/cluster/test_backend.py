from types import SimpleNamespace

import pytest

pytest.importorskip("ray")
from spikevision.cluster import backend  # noqa: E402
from spikevision.cluster.backend import NodeAwareTorchConfig  # noqa: E402
from spikevision.cluster.interface import choose_interface  # noqa: E402


def test_workers_choose_their_interface_before_the_process_group_is_made(monkeypatch):
    done = []
    monkeypatch.setattr(
        backend._TorchBackend, "on_start", lambda self, group, config: done.append("group")
    )
    group = SimpleNamespace(execute=done.append)
    config = NodeAwareTorchConfig()
    config.backend_cls().on_start(group, config)
    assert done == [choose_interface, "group"]
