"""Ray's process group for PyTorch, on the network interface by which the nodes see each other."""

from dataclasses import dataclass

from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend

from spikevision.cluster.interface import choose_interface


@dataclass
class NodeAwareTorchConfig(TorchConfig):
    """Ray's ``TorchConfig``, whose workers talk over the interface that carries their node's Ray address.

    gloo by itself looks up the host's name, which is 127.0.0.1 on a stock Debian: two hosts never meet.
    """

    timeout_s: int = 300

    @property
    def backend_cls(self) -> type:
        """The backend that Ray builds from this config."""
        return _NodeAwareBackend


class _NodeAwareBackend(_TorchBackend):
    def on_start(self, worker_group, backend_config):  # type: ignore[no-untyped-def]
        worker_group.execute(choose_interface)
        super().on_start(worker_group, backend_config)
