"""What stands in for an operator of mmcv that this package does not answer."""

from collections.abc import Callable
from typing import NoReturn

__all__ = ["MissingOperatorError", "missing_operator"]


class MissingOperatorError(NotImplementedError):
    """An operator of compiled mmcv was called that spikevision does not answer."""


def missing_operator(name: str) -> Callable[..., NoReturn]:
    """Return a callable that raises when it is called, so that importing ``mmcv.ops`` never fails.

    Serves as the ``__getattr__`` of ``mmcv._ext``.

    Args:
        name: Attribute asked of ``mmcv._ext``.

    Raises:
        AttributeError: If ``name`` starts with an underscore: the import system asks for such names, mmcv does not.
    """
    if name.startswith("_"):
        raise AttributeError(f"module 'mmcv._ext' has no attribute {name!r}")

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise MissingOperatorError(
            f"the operator {name!r} of mmcv is not answered by spikevision: it needs compiled mmcv. Install a "
            f"full 'mmcv' (>=2.0.0rc4,<2.2.0) built for your PyTorch in place of 'mmcv-lite', or choose a model without "
            f"{name!r}. `spikevision doctor` lists the operators that work."
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse
