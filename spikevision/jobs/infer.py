"""The infer job: annotated pictures and ``predictions.json`` for an image or a folder of images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import MODELS

from spikevision.jobs import infer_classification
from spikevision.jobs.config import dataset_class
from spikevision.jobs.files import write_json
from spikevision.jobs.runtime import Job, prepare, recorded
from spikevision.jobs.spec import RunResult, RunSpec, Status
from spikevision.jobs.weights import load_weights

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
PREDICTIONS = "predictions.json"

# task -> (picture, result of the model, class names, where to save the picture) -> the prediction as plain values
PREDICTORS: dict[str, Callable[[Path, Any, tuple[str, ...], Path], dict[str, Any]]] = {
    "classification": infer_classification.describe,
}


def infer(spec: RunSpec) -> RunResult:
    """Predict on images; writes ``predictions.json`` and annotated pictures to the run folder.

    An image that cannot be read is reported and left out, and the result's status is ``incomplete`` then.

    Args:
        spec: ``config``, ``checkpoint`` and ``inputs`` (an image or a folder), and if wanted ``work_dir`` and
            ``cfg_options``.

    Raises:
        FileNotFoundError: Config, checkpoint or input is missing.
        ValueError: The config's task cannot be inferred yet, the folder holds no image, none could be read, or the checkpoint is of another model.
    """
    if spec.checkpoint is None or spec.inputs is None:
        raise ValueError("infer needs a checkpoint and an image or a folder of images")
    images, root = find_images(Path(spec.inputs))
    job = prepare(spec)
    if job.task.name not in PREDICTORS:
        raise ValueError(
            f"infer does not take {job.task.name} yet, only {', '.join(PREDICTORS)}; "
            "mmdet's DetInferencer and mmseg's MMSegInferencer build on the same config"
        )
    model = MODELS.build(job.config.model)
    classes = _class_names(load_weights(model, spec.checkpoint), job.config)
    model.to(get_device()).eval()
    with recorded(job, spec, name="infer") as record:
        run_dir = record.path.parent
        found, failures = _predict_all(job, model, images, root, classes, run_dir)
        write_json(run_dir / PREDICTIONS, {"predictions": found, "failures": failures})
        if not found:
            first = next(iter(failures.values()))
            raise ValueError(
                f"none of the {len(images)} images of {spec.inputs!r} could be read: {first}"
            )
        status: Status = "incomplete" if failures else "finished"
        record.update(status=status, images=len(found), failures=failures)
        return RunResult(
            run_dir=run_dir, status=status, checkpoint=Path(spec.checkpoint), failures=failures
        )


def find_images(inputs: Path) -> tuple[list[Path], Path]:
    """The images of an input and the folder that their names are relative to.

    Raises:
        FileNotFoundError: No such file or folder.
        ValueError: The folder holds no image.
    """
    if inputs.is_file():
        return [inputs], inputs.parent
    if not inputs.is_dir():
        raise FileNotFoundError(f"image or folder {str(inputs)!r} does not exist")
    images = sorted(path for path in inputs.rglob("*") if path.suffix.lower() in IMAGES)
    if not images:
        raise ValueError(f"the folder {str(inputs)!r} holds no image ({', '.join(IMAGES)})")
    return images, inputs


@torch.no_grad()
def _predict_all(
    job: Job,
    model: Any,
    images: list[Path],
    root: Path,
    classes: tuple[str, ...],
    run_dir: Path,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Predictions of the readable images, and the reason for each one that is not."""
    pipeline = Compose(test_pipeline(job.config))
    describe = PREDICTORS[job.task.name]
    found: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for image in images:
        try:
            sample = pipeline({"img_path": str(image)})
        except Exception as error:  # decoders raise whatever they like
            failures[str(image)] = " ".join(str(error).split()) or type(error).__name__
            continue
        if sample is None:  # a loading transform with on_error='skip'
            failures[str(image)] = "cannot be read"
            continue
        result = model.test_step(pseudo_collate([sample]))[0]
        name = str(image.relative_to(root)).removesuffix(".png")  # a.jpg stays apart from a.png
        picture = run_dir / "pictures" / f"{name}.png"
        found.append({"image": str(image), **describe(image, result, classes, picture)})
        found[-1]["picture"] = str(picture.relative_to(run_dir))
    return found, failures


def test_pipeline(config: Config) -> list[dict[str, Any]]:
    """The transforms of the config's test data.

    Raises:
        ValueError: The config has no test data.
    """
    dataset = (config.get("test_dataloader") or {}).get("dataset")
    if not dataset or "pipeline" not in dataset:
        raise ValueError(
            "the config has no test_dataloader.dataset.pipeline to prepare images with"
        )
    return list(dataset["pipeline"])


def _class_names(checkpoint: dict[str, Any], config: Config) -> tuple[str, ...]:
    """Class names as the checkpoint, the config or the dataset class gives them; empty when none does."""
    known = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
    dataset = config.test_dataloader.dataset
    kind = dataset_class(dataset.get("type"), scope=config.get("default_scope"))
    built_in = getattr(kind, "METAINFO", {})
    for source in (known, dataset.get("metainfo") or {}, built_in):
        if source.get("classes"):
            return tuple(source["classes"])
    return ()
