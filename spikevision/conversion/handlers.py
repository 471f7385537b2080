"""The handler table: what a conversion method makes of a function, or of a whole module.

The key is (config class, name of a function) or (config class, module class); a class of a library that need not be
installed is named with its module, ``"library.module.Class"``. A handler of a function is called as
``handler(site, *args, **kwargs)`` with the arguments of the function; one of a module class as
``handler(site, module, *args, **kwargs)`` with those of its ``forward``. Arguments hold :class:`Stream` objects where
they depend on the input, and a handler answers with streams made by ``site.stream(total)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

__all__ = ["Handler", "handles", "module_handler_of", "function_handler_of"]

Handler = Callable[..., Any]
HANDLERS: dict[tuple[type, str | type[nn.Module]], Handler] = {}


def handles(config: type, *keys: str | type[nn.Module]) -> Callable[[Handler], Handler]:
    """Register a handler of functions (by name, such as ``"gelu"``) or of module classes (also by dotted name).

    Raises:
        ValueError: If one of the keys is taken.
    """

    def register(handler: Handler) -> Handler:
        for key in keys:
            if (config, key) in HANDLERS:
                raise ValueError(f"{config.__name__} already has a handler of {key!r}")
            HANDLERS[config, key] = handler
        return handler

    return register


def function_handler_of(config: object, name: str) -> Handler | None:
    """Handler of a function for a config object, or None."""
    return HANDLERS.get((type(config), name))


def module_handler_of(config: object, module: nn.Module) -> Handler | None:
    """Handler of the module's class or of the nearest of its base classes, or None."""
    for base in type(module).__mro__:
        for key in (base, f"{base.__module__}.{base.__qualname__}"):
            if (type(config), key) in HANDLERS:
                return HANDLERS[type(config), key]
    return None
