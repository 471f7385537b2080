"""Names of classes for zero-shot classification: those of published data sets, or a file with one per line."""

from spikevision.checkpoints.clip_prompts import lines_of

__all__ = ["CIFAR_SETS", "class_names"]

CIFAR_SETS = ("cifar10", "cifar100")


def class_names(given: str) -> list[str]:
    """Names of classes, in the order of their labels.

    Args:
        given: ``imagenet`` (the simple names of CLIP), ``cifar10``, ``cifar100``, or a text file with one name per line.

    Raises:
        ValueError: If it is neither, or the file has no name.
    """
    if given not in ("imagenet", *CIFAR_SETS):
        return lines_of(given, "classes", ("imagenet", *CIFAR_SETS))
    from mmpretrain.datasets import categories

    if given == "imagenet":
        return list(categories.IMAGENET_SIMPLE_CATEGORIES)
    names = categories.CIFAR10_CATEGORIES if given == "cifar10" else categories.CIFAR100_CATEGORIES
    return [name.replace("_", " ") for name in names]
