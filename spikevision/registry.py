"""Registries of spikevision: children of mmengine's roots, scope ``spikevision``.

Inside any OpenMMLab config ``type='spikevision.MetaSpikeFormer'`` finds its class with no ``custom_imports``:
mmengine imports this module, and each registry imports the modules that hold its classes when first asked.
"""

import sys
from importlib import import_module

from mmengine import registry as roots
from mmengine.registry import Registry

from spikevision.compat import allow_mmengine_checkpoints

__all__ = [
    "DATASETS",
    "HOOKS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "TRANSFORMS",
]

SCOPE = "spikevision"


class LibraryAwareRegistry(Registry):
    """A registry whose modules are imported only when the mm library that they extend is in use.

    Args:
        name: Name of the registry.
        parent: mmengine's root registry of that kind.
        modules: Module that holds classes -> mm library that it extends, or None where it extends none. A
            detection head is not looked for (and mmdet not imported) while only mmpretrain is in use.
    """

    def __init__(self, name: str, *, parent: Registry, modules: dict[str, str | None]) -> None:
        super().__init__(name, parent=parent, scope=SCOPE, locations=list(modules))
        self._library_of = modules

    def import_from_location(self) -> None:
        """Import every module whose library is in use; called by mmengine at each look-up."""
        for module, library in self._library_of.items():
            if library is None or library in sys.modules:
                import_module(module)


MODELS = LibraryAwareRegistry(
    "model",
    parent=roots.MODELS,
    modules={
        "spikevision.neurons": None,
        "spikevision.backbones": None,
        "spikevision.necks": None,
        "spikevision.heads.classification": "mmpretrain",
        "spikevision.heads.detection": "mmdet",
        "spikevision.heads.segmentation": "mmseg",
        "spikevision.heads.zero_shot": "mmpretrain",
        "spikevision.distillation": None,
        "spikevision.conversion.mm_model": None,
    },
)
DATASETS = LibraryAwareRegistry(
    "dataset",
    parent=roots.DATASETS,
    modules={
        "spikevision.datasets.event_frames": "mmpretrain",
        "spikevision.datasets.event_sets": "mmpretrain",
    },
)
TRANSFORMS = LibraryAwareRegistry(
    "transform",
    parent=roots.TRANSFORMS,
    modules={
        "spikevision.datasets.loading": None,
        "spikevision.datasets.event_augment": "mmpretrain",
        "spikevision.datasets.event_frames": "mmpretrain",
        "spikevision.distillation": None,
    },
)
HOOKS = LibraryAwareRegistry(
    "hook",
    parent=roots.HOOKS,
    modules={
        "spikevision.jobs": None,
        "spikevision.jobs.segmentation_labels": None,
        "spikevision.statistics": None,
    },
)
LOOPS = LibraryAwareRegistry("loop", parent=roots.LOOPS, modules={"spikevision.jobs": None})
OPTIM_WRAPPER_CONSTRUCTORS = LibraryAwareRegistry(
    "optim wrapper constructor",
    parent=roots.OPTIM_WRAPPER_CONSTRUCTORS,
    modules={"spikevision.jobs": None},
)
METRICS = LibraryAwareRegistry("metric", parent=roots.METRICS, modules={})

allow_mmengine_checkpoints()
