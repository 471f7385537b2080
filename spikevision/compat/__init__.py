"""OpenMMLab as released on current PyTorch: ``mmcv``'s operators and safe checkpoints.

``mmcv-lite`` carries every Python file of ``mmcv.ops`` but not the compiled extension ``mmcv._ext`` behind them.
:func:`install` lets :mod:`spikevision.compat.finder` answer that import from torchvision's kernels and plain
PyTorch, and ``pkg_resources``, which current setuptools lacks, from the standard library. What is really there (a
compiled ``mmcv``, an older setuptools) is found first and used untouched. Importing this package loads neither torch
nor an OpenMMLab library.

finder.py         who answers ``import mmcv._ext`` and ``import pkg_resources``, and when
extension.py      the table of operators behind ``mmcv._ext``
missing.py        what an operator that is not in the table says when it is called
boxes.py roi.py deform.py focal.py attention.py   the operators, one family per file
distributions.py  the few functions of ``pkg_resources`` that mmengine calls
checkpoint.py     mmengine checkpoints under ``weights_only=True``
doctor.py smoke.py   what is installed, what works, how to mend what does not
"""

from spikevision.compat.finder import install

__all__ = ["allow_mmengine_checkpoints", "install"]


def allow_mmengine_checkpoints() -> None:
    """Let torch read what mmengine writes; see :func:`spikevision.compat.checkpoint.allow_mmengine_checkpoints`."""
    from spikevision.compat import checkpoint

    checkpoint.allow_mmengine_checkpoints()
