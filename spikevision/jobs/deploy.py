"""The deploy job: from a config and a checkpoint to an artefact, compared with the network that it was made from."""

import io
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from spikevision.deploy import CARD, DeploySettings, build_artefact, compare, load
from spikevision.jobs.classes import classes_of
from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.deployed import REST, network_of, rest_of, signature
from spikevision.jobs.files import write_atomically, write_json
from spikevision.jobs.infer import count_classes
from spikevision.jobs.runtime import build_model
from spikevision.jobs.sample_batches import sample_batches
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.weights import load_weights

__all__ = ["deploy"]

ROUNDS = 7


@dataclass(frozen=True)
class Sample:
    """Prepared test images of one size, and their labels where they have one each."""

    images: Tensor
    labels: Tensor | None


def deploy(spec: RunSpec) -> dict[str, Any]:
    """Deploy a checkpoint to the folder ``spec.output``, whole or not at all.

    What is asked for is the field ``deploy_cfg`` of the config, see :class:`~spikevision.deploy.DeploySettings`. A classifier
    becomes one program, images to logits; of a detector or segmenter it is the backbone and the neck.

    Args:
        spec: ``config``, ``checkpoint``, ``output`` and if wanted ``cfg_options``.

    Returns:
        The card of the artefact.

    Raises:
        FileNotFoundError: Config or checkpoint is missing.
        ValueError: The output exists, or config, checkpoint or settings are not right.
    """
    if spec.checkpoint is None or spec.output is None:
        raise ValueError("deploy needs a checkpoint and an output folder")
    output = Path(spec.output)
    if output.exists():
        raise ValueError(f"{spec.output!r} exists already: give another folder, or remove it")
    config = load_config(spec.config, options=spec.cfg_options)
    settings = DeploySettings.from_config(config.get("deploy_cfg"))
    task = task_of(config)
    init_default_scope(task.scope)
    model = build_model(config).eval()
    name = signature(model)
    checkpoint = load_weights(model, spec.checkpoint)
    sample = _sample(model, config, task.name, settings)
    network = network_of(model, task.name)
    part = output.with_name(f".{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        card = build_artefact(network, sample.images, part, settings)
        classes = classes_of(checkpoint, config, count=count_classes(task.name, model)).names
        facts = {"config": Path(spec.config).name, "model": name, "task": task.name}
        card |= {**facts, "classes": classes, "preprocessing": _preprocessing(model, config)}
        card["time_steps"] = model.backbone.time_steps
        write_json(part / CARD, card)
        _write_rest(rest_of(model, task.name), part / REST)
        card |= _measured(network, load(part), sample, settings)
        write_json(part / CARD, card)
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return card


def _sample(model: Any, config: Config, task: str, settings: DeploySettings) -> Sample:
    """The first test images as the network gets them.

    Raises:
        ValueError: They are of different sizes.
    """
    images: list[Tensor] = []
    samples: list[Any] = []
    for batch in sample_batches(config, task, batches=settings.images):
        prepared = model.data_preprocessor(batch, False)
        images.append(prepared["inputs"])
        samples += prepared["data_samples"]
        if len(samples) >= settings.images:
            break
    sizes = sorted({tuple(batch.shape[1:]) for batch in images})
    if len(sizes) > 1:
        raise ValueError(
            f"a network is deployed for one size of images, the test pipeline gives {len(sizes)}, such as {sizes[:2]}: "
            "resize with keep_ratio=False, or pad to one size"
        )
    labels = [
        sample.gt_label for sample in samples if getattr(sample, "gt_label", None) is not None
    ]
    known = torch.cat(labels).view(-1) if len(labels) == len(samples) else None
    stacked = torch.cat(images)[: settings.images]
    return Sample(stacked, None if known is None else known[: len(stacked)])


def _measured(
    trained: nn.Module, deployed: nn.Module, sample: Sample, settings: DeploySettings
) -> dict[str, Any]:
    """Equality, accuracy and time of the artefact, as it was read back from disk."""
    batch = settings.batch
    equality = compare(trained, deployed, sample.images.split(max(batch, 8)))
    first = sample.images[:batch]
    times: dict[str, list[float]] = {"trained": [], "deployed": []}
    with torch.no_grad():
        for round_ in range(ROUNDS + 1):
            for name, model in (("trained", trained), ("deployed", deployed)):
                start_s = time.perf_counter()
                model(first)
                if round_:
                    times[name].append((time.perf_counter() - start_s) * 1e3)
    pairs = zip(times["trained"], times["deployed"], strict=True)
    return {
        "equality": equality.to_dict(),
        "accuracy_percent": _accuracy(trained, deployed, sample),
        "measured": {
            "batch": len(first),
            "trained_ms": round(statistics.median(times["trained"]), 3),
            "deployed_ms": round(statistics.median(times["deployed"]), 3),
            "speedup": round(statistics.median(a / b for a, b in pairs), 3),
        },
    }


def _accuracy(trained: nn.Module, deployed: nn.Module, sample: Sample) -> dict[str, float] | None:
    """Share of right answers of both networks, where the sample has labels."""
    if sample.labels is None:
        return None
    found = {}
    with torch.no_grad():
        for name, model in (("trained", trained), ("deployed", deployed)):
            answers = torch.cat([model(images).argmax(1) for images in sample.images.split(8)])
            found[name] = 100 * float((answers == sample.labels).float().mean())
    return found


def _preprocessing(model: Any, config: Config) -> dict[str, Any]:
    """What happens to an image before the network gets it, as plain values."""
    preprocessor = model.data_preprocessor
    stages = [
        {key: value for key, value in stage.items()}
        for stage in config.test_dataloader.dataset.pipeline
    ]
    return {
        "pipeline": stages,
        "mean": _numbers(getattr(preprocessor, "mean", None)),
        "std": _numbers(getattr(preprocessor, "std", None)),
        "bgr_to_rgb": bool(
            getattr(preprocessor, "to_rgb", False)
            or getattr(preprocessor, "_channel_conversion", False)
            or getattr(preprocessor, "channel_conversion", False)
        ),
    }


def _numbers(value: Tensor | None) -> list[float] | None:
    return None if value is None else value.flatten().tolist()


def _write_rest(state: dict[str, Tensor], path: Path) -> None:
    if state:
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(path, content.getvalue())
