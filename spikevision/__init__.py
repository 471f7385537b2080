"""Spiking vision on stock OpenMMLab: train, convert, measure and scale spiking networks.

Importing the package is cheap: it loads neither torch nor an OpenMMLab library, and it makes sure that
``mmcv``'s operators are answered on current PyTorch (see :mod:`spikevision.compat`).
"""

from spikevision.compat import install
from spikevision.version import __version__

install()

__all__ = ["__version__"]
