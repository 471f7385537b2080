"""A few batches for jobs that look at a model: its test data, or noise where the data is not there."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from spikevision.jobs.config import check_data

BATCHES = 2
NOISE_IMAGES = 2
DEFAULT_SIZE = 224
SIZE_FIELDS = ("crop_size", "scale", "size")


def normalise_to(model: nn.Module, run: Callable[[], None]) -> None:
    """Set running statistics to those of the calls that ``run`` makes."""
    norms = [
        module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        run()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def sample_batches(
    config: Config, task: str, *, batches: int = BATCHES
) -> Iterator[dict[str, Any]]:
    """The first few batches as a test data loader gives them; of noise there is one.

    Raises:
        ValueError: The data is not there, and the model does not take colour images.
    """
    try:
        if config.get("test_dataloader") is None:
            raise FileNotFoundError
        check_data(config, loaders=("test_dataloader",))
    except FileNotFoundError:
        yield _noise(config, task)
        return
    loader = {**config.test_dataloader, "num_workers": 0, "persistent_workers": False}
    yield from islice(Runner.build_dataloader(loader, seed=0), batches)


def _noise(config: Config, task: str) -> dict[str, Any]:
    """Images of noise, for a model of colour images.

    Raises:
        ValueError: The model takes something else.
    """
    channels = config.model.get("backbone", {}).get("in_channels", 3)
    if channels != 3:
        raise ValueError(
            f"the test data of the config is missing, and a model of {channels} channels cannot be audited on noise"
        )
    side = _side(config)
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, side, side), generator=generator, dtype=torch.uint8)
        for _ in range(NOISE_IMAGES)
    ]
    return {"inputs": images, "data_samples": [_sample(task, side) for _ in images]}


def _side(config: Config) -> int:
    """Side of the images that the config tests on, as far as its transforms tell."""
    dataset = (config.get("test_dataloader") or {}).get("dataset", {})
    found = [
        step[field]
        for step in dataset.get("pipeline", [])
        for field in SIZE_FIELDS
        if field in step
    ]
    sides = [min(size) if isinstance(size, (tuple, list)) else size for size in found]
    return min(sides, default=DEFAULT_SIZE)


def _sample(task: str, side: int) -> Any:
    """What a data loader says of an image."""
    shape = (side, side)
    facts = {"img_shape": shape, "ori_shape": shape, "pad_shape": shape, "scale_factor": (1.0, 1.0)}
    if task == "detection":
        from mmdet.structures import DetDataSample

        return DetDataSample(metainfo=facts)
    if task == "segmentation":
        from mmseg.structures import SegDataSample

        return SegDataSample(metainfo={**facts, "padding_size": [0, 0, 0, 0]})
    from mmpretrain.structures import DataSample

    return DataSample(metainfo=facts)
