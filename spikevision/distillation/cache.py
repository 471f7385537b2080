"""A teacher's answers on disk, found again by the content of the input.

The key of an answer is a hash of the very tensor that the teacher would see, so a cached answer can never belong to
another image, crop or augmentation: what differs in one bit is simply not found. One small safetensors file per sample,
written under another name and moved in place, so that any number of processes may share the folder.
"""

import logging
import os
import uuid
from hashlib import blake2b
from pathlib import Path

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

__all__ = ["AnswerCache", "content_hash"]


def content_hash(*tensors: Tensor, text: str = "") -> str:
    """Hash of dtype, shape and bytes of tensors, and of a text; 32 hexadecimal digits."""
    digest = blake2b(text.encode(), digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class AnswerCache:
    """Answers by content hash, in a folder of bounded size.

    Nothing is thrown out: once the folder is full, new answers are not kept. With several processes each one may add
    its share of the room that was left at the start.

    Args:
        folder: Folder of this teacher's answers; made when missing.
        max_gb: Bound on the bytes in it, in 1e9 bytes.
    """

    def __init__(self, folder: Path, *, max_gb: float) -> None:
        if not max_gb > 0:
            raise ValueError(f"cache_gb must be above 0, got {max_gb}")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        used = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
        self._room_bytes = (max_gb * 1e9 - used) / get_world_size()
        self._full = False

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The answer of a key; None where there is none, or none that can be read."""
        try:
            return load(self._path(key).read_bytes())
        except (OSError, SafetensorError):
            return None

    def put(self, key: str, answer: dict[str, Tensor]) -> None:
        """Keep an answer if there is room for it."""
        content = save({name: value.cpu().contiguous() for name, value in answer.items()})
        if len(content) > self._room_bytes:
            self._say_full()
            return
        path = self._path(key)
        part = self.folder / f"{key}.{uuid.uuid4().hex}.part"
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(content)
            os.replace(part, path)
        except OSError as error:  # a full disk ends the caching, not the training
            part.unlink(missing_ok=True)
            self._room_bytes = 0
            self._say_full(f" ({error})")
            return
        self._room_bytes -= len(content)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _say_full(self, reason: str = "") -> None:
        if not self._full:
            self._full = True
            print_log(
                f"the cache of the teacher's answers in {self.folder} is full{reason}: new answers are not kept. "
                "Raise cache_gb, or leave out random augmentation (see FixedDraws), with which inputs never repeat",
                logger="current",
                level=logging.WARNING,
            )
