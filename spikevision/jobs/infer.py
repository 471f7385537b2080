"""The infer job: predictions as JSON, and annotated pictures, for an image, a video or a folder of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device

from spikevision.jobs.classes import classes_of
from spikevision.jobs.deployed import load_network
from spikevision.jobs.files import write_json
from spikevision.jobs.infer_reader import Reader
from spikevision.jobs.infer_task import Predictions, Setting
from spikevision.jobs.media import Medium, count_shots, find_media, picture_writer, shots_of
from spikevision.jobs.progress import progress
from spikevision.jobs.record import RunRecord
from spikevision.jobs.run_dir import checked_output
from spikevision.jobs.runtime import build_model, prepare, recorded
from spikevision.jobs.spec import RunResult, RunSpec, Status
from spikevision.jobs.stop import StopRequest
from spikevision.jobs.weights import network_of

PREDICTIONS = "predictions.json"
PICTURES = "pictures"

# task -> (module, class of its predictions); a module brings its mm library along, so only one is imported
TASKS = {
    "classification": ("spikevision.jobs.infer_classification", "Labels"),
    "detection": ("spikevision.jobs.infer_detection", "Detections"),
    "segmentation": ("spikevision.jobs.infer_segmentation", "ClassMaps"),
}


def infer(spec: RunSpec) -> RunResult:
    """Predict on images and videos.

    Pictures (and class maps) are written one by one, ``predictions.json`` and the task's other JSON files at the end,
    also when the job is stopped or fails. What cannot be read is reported and left out; the result's status is
    ``incomplete`` then.

    Args:
        spec: ``config``, ``checkpoint`` (or a deployed network) and ``inputs`` (image, video or folder), and if wanted ``output``,
            ``score_threshold``, ``work_dir`` and ``cfg_options``.

    Raises:
        FileNotFoundError: Config, checkpoint or input is missing.
        ValueError: The folder holds no image, none could be read, the checkpoint is of another model, or ``output``
            is the folder of another job.
    """
    if spec.checkpoint is None or spec.inputs is None:
        raise ValueError("infer needs a checkpoint and an image, a video or a folder of them")
    media = find_media(Path(spec.inputs))
    output = checked_output(spec.output, job="infer")
    with StopRequest() as request:
        job = prepare(spec)
        model = build_model(job.config)
        task, count = (
            _task_class(job.task.name),
            count_classes(job.task.name, network_of(model)),
        )
        checkpoint = load_network(model, spec.checkpoint)
        classes = classes_of(checkpoint, job.config, count=count)
        model.to(get_device()).eval()
        reader = Reader(job.config)
        with recorded(job, spec, name="infer", run_dir=output) as record:
            setting = Setting(
                config=job.config,
                classes=classes,
                folder=record.path.parent,
                score_threshold=spec.score_threshold,
            )
            predictions = task(setting)
            work = Work(setting, model, reader, predictions)
            try:
                work.run(media, request)
            finally:
                work.save()
            return _result(spec, work, record, media, signum=request.signum)


def count_classes(task: str, model: Any) -> int:
    """Number of classes of a task's model, as it was built from its config."""
    return _task_class(task).count_classes(model)


def _task_class(name: str) -> type[Predictions]:
    module, predictions = TASKS[name]
    return cast(type[Predictions], getattr(import_module(module), predictions))


def _result(
    spec: RunSpec, work: "Work", record: RunRecord, media: list[Medium], *, signum: int | None
) -> RunResult:
    if not work.found and work.failures:
        reason = next(iter(work.failures.values()))
        raise ValueError(
            f"none of the {len(media)} inputs of {spec.inputs!r} could be predicted on: {reason}"
        )
    status: Status = "interrupted" if signum else "incomplete" if work.failures else "finished"
    record.update(status=status, pictures=len(work.found), failures=work.failures)
    return RunResult(
        run_dir=record.path.parent,
        status=status,
        checkpoint=Path(str(spec.checkpoint)),
        failures=work.failures,
        signal=signum,
    )


@dataclass
class Work:
    """The loop over all pictures, and what has come of it so far.

    Args:
        setting: Config, classes and folder.
        model: The model on its device, in evaluation mode.
        reader: Prepares pictures for it.
        predictions: The task's side.
    """

    setting: Setting
    model: Any
    reader: Reader
    predictions: Predictions
    found: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def run(self, media: list[Medium], request: StopRequest) -> None:
        """Predict on all media, until asked to stop."""
        with progress() as bar:
            line = bar.add_task("predicting", total=count_shots(media))
            for medium in media:
                try:
                    for _ in self._predict(medium):
                        bar.advance(line)
                        if request.signum:
                            return
                except ValueError as error:
                    self.failures[str(medium.path)] = " ".join(str(error).split())

    def save(self) -> None:
        """Write the JSON files."""
        folder = self.setting.folder
        for name, content in self.predictions.files().items():
            write_json(folder / name, content)
        content = {
            "classes": self.setting.classes.names,
            "predictions": self.found,
            "failures": self.failures,
        }
        write_json(folder / PREDICTIONS, content)

    @torch.no_grad()
    def _predict(self, medium: Medium) -> Iterator[None]:
        """Predict on the pictures of one medium, one per step."""
        with picture_writer(medium, self.setting.folder / PICTURES) as write:
            for shot in shots_of(medium):
                rgb, sample = self.reader.read(shot)
                result = self.model.test_step(pseudo_collate([sample]))[0]
                entry, drawn = self.predictions.add(shot, rgb, result)
                write(drawn)
                frame = {} if shot.frame is None else {"frame": shot.frame}
                picture = {"picture": f"{PICTURES}/{medium.picture}"}
                self.found.append({"image": str(medium.path), **frame, **entry, **picture})
                yield
