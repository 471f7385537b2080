"""What a conversion did, and how far the converted model is from the ANN."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ConversionReport", "PopulationReport"]


@dataclass(frozen=True, kw_only=True)
class PopulationReport:
    """One population of neurons.

    Attributes:
        name: Dotted name in the converted model.
        role: ``encode`` (carries a value as spikes) or ``scalar`` (stands for a function).
        function: The function, or None.
        units: Neurons per value.
        channels: Channels with thresholds of their own.
        threshold: Least, median and greatest threshold.
        low: Least value seen in calibration.
        high: Greatest value.
    """

    name: str
    role: str
    function: str | None
    units: int
    channels: int
    threshold: tuple[float, float, float]
    low: float
    high: float


@dataclass
class ConversionReport:
    """Result of a conversion; ``measurements`` grows as the model is measured.

    Attributes:
        config: Settings, as a dictionary.
        model: Fingerprint of the ANN.
        images: Number of calibration images.
        populations: What was made.
        measurements: Named results of later measurements, ready for JSON.
    """

    config: dict[str, Any]
    model: str
    images: int
    populations: list[PopulationReport] = field(default_factory=list)
    measurements: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """A few lines for a terminal."""
        lines = [
            f"preset {self.config['preset']}, T = {self.config['time_steps']}, calibrated with {self.images} images: "
            f"{len(self.populations)} populations"
        ]
        for p in self.populations:
            what = p.function or p.role
            low, middle, high = p.threshold
            lines.append(
                f"  {p.name}: {what}, {p.units} x {p.channels}, thresholds {low:.3g} / {middle:.3g} / {high:.3g}"
            )
        return "\n".join(lines)
