"""What a config may ask of a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

WEIGHTS = ("float32", "int8")


@dataclass(frozen=True, kw_only=True)
class DeploySettings:
    """The field ``deploy_cfg`` of a config.

    Args:
        weights: ``float32``, or ``int8`` for weights of convolutions in eight bits with one scale per output channel.
        spike_driven: Whether RepConv and the tail of SepConv become single dense convolutions, so that spikes alone enter
            weight layers; otherwise each takes the form that is faster here.
        images: How many images of the test data the deployed network is compared on.
        batch: Images per call in the measurements that choose layout, threads and kernels.
    """

    weights: str = "float32"
    spike_driven: bool = False
    images: int = 64
    batch: int = 1

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise ValueError(f"deploy_cfg.weights is one of {WEIGHTS}, got {self.weights!r}")
        for name in ("images", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"deploy_cfg.{name} is a whole number of at least 1, got {value!r}"
                )

    @classmethod
    def from_config(cls, given: Mapping[str, Any] | None) -> "DeploySettings":
        """The settings of a config.

        Raises:
            ValueError: An unknown field or a wrong value.
        """
        known = [field.name for field in fields(cls)]
        unknown = set(given or {}) - set(known)
        if unknown:
            raise ValueError(f"deploy_cfg has the fields {known}, got {sorted(unknown)} as well")
        return cls(**(given or {}))
