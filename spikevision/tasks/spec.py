"""A vision task as data: which OpenMMLab library carries it, and how its result is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """One task.

    Args:
        name: Name of the task.
        scope: OpenMMLab library (and registry scope) of its configs.
        metric: Key of the metric that judges a model.
        greater_is_better: Direction of that metric.
        headlines: Metrics that a reader looks at first, where a model has them.
        metrics: What a validation can give, as patterns of names.
        to_percent: Factor that makes a headline percent.
        units: Prefix of a metric key -> unit of its value.
    """

    name: str
    scope: str
    metric: str
    greater_is_better: bool = True
    headlines: tuple[str, ...]
    metrics: tuple[str, ...]
    to_percent: float = 1.0
    units: Mapping[str, str] = field(default_factory=dict)

    def unit_of(self, metric: str) -> str:
        """Unit of a metric, ``""`` where it has none."""
        return next((unit for prefix, unit in self.units.items() if metric.startswith(prefix)), "")

    def percent(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """Those headlines that a model has, in percent."""
        return {
            name: float(metrics[name]) * self.to_percent
            for name in self.headlines
            if name in metrics
        }

    def with_units(self, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Metrics as ``{name: {"value": ..., "unit": ...}}``, as ``run.json`` keeps them."""
        return {
            name: {"value": value, "unit": self.unit_of(name)} for name, value in metrics.items()
        }
