"""Spatio-temporal approximation: settings, neurons, fitted operators and handlers."""

from spikevision.conversion.sta import handlers as _handlers  # noqa: F401  registers the handlers
from spikevision.conversion.sta.config import PRESETS, STAConfig

__all__ = ["PRESETS", "STAConfig"]
