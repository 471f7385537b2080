"""Read a text config, apply the overrides, and check what can be checked before anything is built."""

import ast
import copy
import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from spikevision.jobs.detection_annotations import check_detection_data
from spikevision.jobs.recipe import FIELDS, set_time_steps
from spikevision.tasks import TaskSpec, task_of_scope


def load_config(path: str | Path, *, options: Mapping[str, Any] | None = None) -> Config:
    """Read a text config with its bases and apply overrides.

    Args:
        path: ``.py``, ``.yaml`` or ``.json`` config.
        options: Dotted field name -> value.

    Raises:
        FileNotFoundError: No such config.
        ValueError: The config cannot be read, is a pure-Python ("lazy") config, or an option names a field that
            neither the config nor mmengine's Runner nor :mod:`spikevision.jobs.recipe` knows.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config {str(path)!r} does not exist (looked from {Path.cwd()})")
    try:
        config = Config.fromfile(path, lazy_import=False)
    except Exception as error:  # mmengine wraps its own in classes that it does not export
        reason = _syntax_error(path) or f"{type(error).__name__}: {error}"
        raise ValueError(f"cannot read config {str(path)!r}: {reason}") from error
    _check_options(config, options or {})
    config.merge_from_dict(copy.deepcopy(dict(options or {})))  # mmengine pops '_delete_' from it
    set_time_steps(config)
    return config


def _syntax_error(path: Path) -> str | None:
    """Place of the first syntax error in a config or its bases; mmengine names a temporary copy instead."""
    if path.suffix != ".py" or not path.is_file():
        return None
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError as error:
        return f"syntax error in {path}, line {error.lineno}: {error.msg}"
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
            bases = ast.literal_eval(node.value)
            for base in [bases] if isinstance(bases, str) else bases:
                found = _syntax_error(path.parent / base)
                if found:
                    return found
    return None


def _check_options(config: Config, options: Mapping[str, Any]) -> None:
    """Refuse an override whose first name nobody would read: mmengine would take it silently."""
    known = set(config) | set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    known |= set(FIELDS)
    for name in options:
        first = name.split(".")[0]
        if first not in known:
            near = difflib.get_close_matches(first, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"cfg option {name!r}: the config has no field {first!r}{hint}")


def task_of(config: Config) -> TaskSpec:
    """The task that a config is for, known by its ``default_scope``.

    Raises:
        ValueError: The config has no ``default_scope``, or one that spikevision has no task for.
    """
    return task_of_scope(config.get("default_scope"))


def check_precision(config: Config) -> None:
    """Refuse mixed precision where mmengine has no device for it.

    Raises:
        ValueError: The config asks for it on a machine without a GPU.
    """
    wrapper = config.get("optim_wrapper") or {}
    if "AmpOptimWrapper" in str(wrapper.get("type")) and get_device() == "cpu":
        extra = sorted({"dtype", "loss_scale"} & set(wrapper))
        and_remove = f", and remove {' and '.join(extra)} from optim_wrapper" if extra else ""
        raise ValueError(
            "optim_wrapper.type=AmpOptimWrapper trains in mixed precision, which needs a GPU, and there is none here: "
            f"add --cfg-options optim_wrapper.type=OptimWrapper to train in single precision{and_remove}"
        )


def check_data(config: Config, *, loaders: tuple[str, ...]) -> None:
    """Make sure that the folders and files of the datasets are there before hours of work start.

    Args:
        config: Loaded config.
        loaders: Names of the data loaders that the job will use, e.g. ``("train_dataloader",)``.

    Raises:
        FileNotFoundError: A folder or annotation file is missing.
        ValueError: A folder holds no file, or COCO annotations are not right.
    """
    scope = config.get("default_scope")
    for loader in loaders:
        for dataset in _datasets(config.get(loader) or {}):
            for path in [] if _downloads(dataset, scope) else _paths(dataset):
                _check_path(path, loader)
            _check_suffix(dataset, loader)
            kind: Any = dataset_class(dataset.get("type"), scope=scope)
            if scope == "mmdet" and _reads_coco(kind, dataset) and is_main_process():
                meta = dataset.get("metainfo") or {}
                classes = tuple(meta.get("classes") or kind.METAINFO["classes"])
                check_detection_data(dataset, classes=classes, model=config.get("model") or {})


def _reads_coco(kind: Any, dataset: Mapping[str, Any]) -> bool:
    """Whether a dataset of mmdet reads the boxes of a local COCO file."""
    from mmdet.datasets import CocoDataset

    local = "://" not in str(dataset.get("data_root")) + str(dataset.get("ann_file"))
    reads = getattr(kind, "load_data_list", None) is CocoDataset.load_data_list
    return bool(reads and local and dataset.get("ann_file"))


def dataset_class(kind: Any, *, scope: str | None) -> type | None:
    """The class that ``type=kind`` of a dataset config means in a scope; None when there is none."""
    if not isinstance(kind, str):
        return kind
    with DATASETS.switch_scope_and_registry(scope) as registry:
        return registry.get(kind)


def _datasets(node: Any) -> Iterator[Mapping[str, Any]]:
    """All dataset dicts below a loader, also those inside wrappers (concatenation, repetition)."""
    for key in ("dataset", "datasets"):
        inner = node.get(key) if isinstance(node, Mapping) else None
        for dataset in inner if isinstance(inner, (list, tuple)) else [inner] if inner else []:
            yield dataset
            yield from _datasets(dataset)


def _downloads(dataset: Mapping[str, Any], scope: str | None) -> bool:
    """Whether this dataset class fetches its own data (mmpretrain's CIFAR and MNIST do)."""
    found: Any = dataset_class(dataset.get("type"), scope=scope)
    can = found is not None and "download" in inspect.signature(found.__init__).parameters
    return can and bool(dataset.get("download", True))


def _paths(dataset: Mapping[str, Any]) -> Iterator[Path]:
    if "://" in (dataset.get("data_root") or ""):  # remote data is checked by whoever reads it
        return
    root = Path(dataset.get("data_root") or "")
    if dataset.get("ann_file"):
        yield root / dataset["ann_file"]
    prefix = dataset.get("data_prefix") or ""
    prefixes = prefix.values() if isinstance(prefix, Mapping) else [prefix]
    for part in prefixes:
        if part or dataset.get("data_root"):
            yield root / (part or "")


def _check_suffix(dataset: Mapping[str, Any], loader: str) -> None:
    """Refuse a folder of images in which none ends as the dataset (one of mmseg) will look for."""
    prefix, suffix = dataset.get("data_prefix") or {}, dataset.get("img_suffix")
    if not suffix or dataset.get("ann_file") or "img_path" not in prefix:
        return
    folder = Path(dataset.get("data_root") or "") / prefix["img_path"]
    if "://" not in str(folder) and next(folder.rglob(f"*{suffix}"), None) is None:
        raise ValueError(f"{loader}: no file in {str(folder)!r} ends in img_suffix={suffix!r}")


def _check_path(path: Path, loader: str) -> None:
    if not path.exists():
        raise FileNotFoundError(
            f"{loader}: data {str(path)!r} does not exist (looked from {Path.cwd()}). Put the data there or set "
            f"data_root / data_prefix; `spikevision prepare --help` lists the sets that can be prepared"
        )
    if path.is_dir() and not any(entry.is_file() for entry in path.rglob("*")):
        raise ValueError(f"{loader}: the data folder {str(path)!r} holds no file")
