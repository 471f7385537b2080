"""CIFAR10-DVS, DVS128 Gesture and N-Caltech101 in the folders and files in which their authors published them."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset

from spikevision.registry import DATASETS

__all__ = ["CIFAR10DVS", "DVS128Gesture", "NCaltech101"]

SPLITS = ("train", "test")
GESTURES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)


class EventSet(BaseDataset):
    """Recordings of an event camera with one label each; a subclass lists them.

    Args:
        data_root: Folder of the set, as its archive unpacks.
        split: ``train`` or ``test``.
        **kwargs: Of mmpretrain's ``BaseDataset``: ``pipeline`` and others.

    Raises:
        ValueError: An unknown split, or a folder that is not laid out as published; says what is missing.
    """

    def __init__(self, data_root: str, *, split: str = "train", **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; it can be {' or '.join(SPLITS)}")
        self.split = split
        kwargs.setdefault("test_mode", split == "test")
        super().__init__(ann_file="", data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Path, label and, where a recording holds many samples, span of each sample."""
        root = Path(self.data_root)
        if not root.is_dir():
            raise ValueError(f"{type(self).__name__}: the folder {str(root)!r} does not exist")
        return list(self._samples(root))

    def _samples(self, root: Path) -> Iterator[dict[str, Any]]:
        raise NotImplementedError


class ClassFolders(EventSet):
    """Recordings in one folder per class, without an official split.

    The first ``train_share`` of each class, in the order of the numbers in the file names, is for training, the rest
    for the test, as Spikformer and many others do.

    Args:
        train_share: Part of each class for training.
    """

    SUFFIX = ""

    def __init__(self, data_root: str, *, train_share: float = 0.9, **kwargs: Any) -> None:
        if not 0 < train_share < 1:
            raise ValueError(f"train_share is {train_share}; it has to be between 0 and 1")
        self.train_share = train_share
        super().__init__(data_root, **kwargs)

    def _samples(self, root: Path) -> Iterator[dict[str, Any]]:
        for label, name in enumerate(self._class_names(root)):
            files = sorted((root / name).glob(f"*{self.SUFFIX}"), key=_natural)
            if len(files) < 2:
                raise ValueError(
                    f"{type(self).__name__}: {str(root / name)!r} holds {len(files)} {self.SUFFIX} files; unpack the "
                    f"published archive of this class there"
                )
            cut = int(len(files) * self.train_share)
            for path in files[:cut] if self.split == "train" else files[cut:]:
                yield {"img_path": str(path), "gt_label": label}

    def _class_names(self, root: Path) -> list[str]:
        return list(self.CLASSES or ())


@DATASETS.register_module()
class CIFAR10DVS(ClassFolders):
    """CIFAR10-DVS: ``<data_root>/<class>/cifar10_<class>_<number>.aedat``, 1,000 per class, 128x128.

    Source: Li et al., CIFAR10-DVS, Frontiers in Neuroscience 2017.
    """

    METAINFO = {
        "classes": (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        )
    }
    SUFFIX = ".aedat"


@DATASETS.register_module()
class NCaltech101(ClassFolders):
    """N-Caltech101: ``<data_root>/<class>/image_<number>.bin``, 101 classes; ``data_root`` is the folder Caltech101.

    Classes are the folders, by name.

    Source: Orchard et al., Converting static image datasets to spiking neuromorphic datasets, Frontiers 2015.
    """

    SUFFIX = ".bin"

    def _class_names(self, root: Path) -> list[str]:
        names = sorted(path.name for path in root.iterdir() if path.is_dir())
        if not names:
            raise ValueError(f"NCaltech101: {str(root)!r} has no folders of classes")
        self._metainfo["classes"] = tuple(names)
        return names


@DATASETS.register_module()
class DVS128Gesture(EventSet):
    """DVS128 Gesture: ``<data_root>/trials_to_<split>.txt``, ``user<n>_<light>.aedat`` and ``..._labels.csv``.

    ``data_root`` is the folder DvsGesture. A recording holds one user's gestures in one light; its table says class
    (1 to 11), first and last microsecond of each.

    Source: Amir et al., A low power, fully event-based gesture recognition system, CVPR 2017.
    """

    METAINFO = {"classes": GESTURES}

    def _samples(self, root: Path) -> Iterator[dict[str, Any]]:
        trials = _existing(root / f"trials_to_{self.split}.txt")
        for name in trials.read_text().split():
            recording = _existing(root / name)
            table = _existing(recording.with_name(f"{recording.stem}_labels.csv"))
            for label, span in _gestures(table):
                yield {"img_path": str(recording), "gt_label": label, "span_us": span}


def _gestures(table: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """Label from 0 and span of each row."""
    with table.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    for number, row in enumerate(rows, 2):
        try:
            label, start, end = (int(cell) for cell in row)
        except ValueError as error:
            raise ValueError(
                f"{str(table)!r}, line {number}: expected class,start,end, got {row}"
            ) from error
        if not 1 <= label <= len(GESTURES) or start >= end:
            raise ValueError(
                f"{str(table)!r}, line {number}: class {label} from {start} to {end} us is no gesture"
            )
        yield label - 1, (start, end)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(
            f"DVS128Gesture: {str(path)!r} is missing; data_root is the folder DvsGesture of the published archive"
        )
    return path


def _natural(path: Path) -> list[Any]:
    """Key that sorts ``a_2`` before ``a_10``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
