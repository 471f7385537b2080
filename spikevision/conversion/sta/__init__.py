"""Spatio-temporal approximation: settings, neurons, fitted operators and handlers."""

from spikevision.conversion.sta import activations, attention, normalisation, products
from spikevision.conversion.sta.config import PRESETS, STAConfig

HANDLERS = (
    activations,
    attention,
    normalisation,
    products,
)  # importing them registers the handlers

__all__ = ["HANDLERS", "PRESETS", "STAConfig"]
