"""Prompts for zero-shot classification: published sets, or a file with one per line."""

from pathlib import Path

__all__ = ["lines_of", "prompt_templates"]

PROMPT_SETS = ("imagenet", "cifar", "plain")
CIFAR_KINDS = (
    "",
    "blurry ",
    "black and white ",
    "low contrast ",
    "high contrast ",
    "bad ",
    "good ",
)
CIFAR_SIZES = ("small", "big")


def prompt_templates(given: str) -> list[str]:
    """Prompts with ``{}`` for the name of the class.

    Args:
        given: ``imagenet`` (80 prompts) or ``cifar`` (18), which STA takes from CLIP; ``plain`` for ``a photo of a {}.``;
            or a text file with one prompt per line.

    Raises:
        ValueError: If it is none of them, or the file is empty.

    Source: the prompts that Radford et al., arXiv:2103.00020, published with their code.
    """
    if given == "plain":
        return ["a photo of a {}."]
    if given == "cifar":
        found = []
        for article in ("a", "the"):
            found += [f"a {kind}photo of {article} {{}}." for kind in CIFAR_KINDS]
            found += [f"a photo of {article} {size} {{}}." for size in CIFAR_SIZES]
        return found
    if given == "imagenet":
        from mmseg.utils.get_templates import get_predefined_templates

        return list(get_predefined_templates("imagenet"))
    return lines_of(given, "prompts", PROMPT_SETS)


def lines_of(path: str, what: str, known: tuple[str, ...]) -> list[str]:
    """Lines of a text file without the empty ones.

    Args:
        path: The file.
        what: What the lines are, for the error.
        known: What could have been given instead.

    Raises:
        ValueError: If there is no such file, or nothing in it.
    """
    if not Path(path).is_file():
        raise ValueError(f"{what} are one of {', '.join(known)} or a text file, got {path!r}")
    found = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    found = [line for line in found if line]
    if not found:
        raise ValueError(f"{path!r} holds no {what}")
    return found
