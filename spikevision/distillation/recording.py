"""Outputs of modules that are chosen by name, in any model, without a line in the model."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

__all__ = ["find_module", "recorded_outputs"]


def find_module(model: nn.Module, name: str, *, role: str) -> nn.Module:
    """The module of a dotted name; ``""`` is the model itself.

    Args:
        model: The model to look in.
        name: Name as in ``model.named_modules()``.
        role: What the model is called in the error: ``student`` or ``teacher``.

    Raises:
        ValueError: There is none; lists near names.
    """
    modules = dict(model.named_modules())
    if name in modules:
        return modules[name]
    near = difflib.get_close_matches(name, modules, n=5, cutoff=0.4)
    parts = [child for child, _ in model.named_children()]
    raise ValueError(
        f"the {role} ({type(model).__name__}) has no module {name!r}; "
        f"near names: {', '.join(near) or 'none'}; its parts: {', '.join(parts)}"
    )


@contextmanager
def recorded_outputs(
    model: nn.Module, names: Iterable[str], *, role: str
) -> Iterator[dict[str, list[Tensor]]]:
    """Note what modules answer while the context lasts.

    ``forward`` itself is watched, so calls that pass by ``module(x)`` (as mmseg's heads do) are seen too.

    Args:
        model: The model that runs.
        names: Dotted names of the modules.
        role: See :func:`find_module`.

    Yields:
        Name -> output tensors in the order in which they came: one, one per level, or one per call. Of a dense head,
        which answers with several lists, the first list (the class logits).

    Raises:
        ValueError: A module is not there, or did not run before the context ended.
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    with ExitStack() as stack:
        for name, outputs in seen.items():
            stack.enter_context(_watched(find_module(model, name, role=role), outputs))
        yield seen
    silent = [name for name, outputs in seen.items() if not outputs]
    if silent:
        raise ValueError(
            f"module {silent[0]!r} of the {role} gave no output: it does not run in the {role}'s "
            "forward pass, or answers with no tensor; name another module"
        )


@contextmanager
def _watched(module: nn.Module, outputs: list[Tensor]) -> Iterator[None]:
    forward = module.forward

    def watching(*args: Any, **kwargs: Any) -> Any:
        answer = forward(*args, **kwargs)
        outputs.extend(_tensors(answer))
        return answer

    module.forward = watching
    try:
        yield
    finally:
        del module.forward  # the class's own shows again


def _tensors(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    while answer and isinstance(answer, (list, tuple)) and isinstance(answer[0], (list, tuple)):
        answer = answer[0]
    sequence = answer if isinstance(answer, (list, tuple)) else []
    return [value for value in sequence if isinstance(value, Tensor)]
