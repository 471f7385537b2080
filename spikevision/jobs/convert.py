"""The convert job: a trained checkpoint of any mm config becomes a spiking network, with a report of what it cost."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from spikevision.conversion import SpikingModel, Statistics, convert_, prepare_
from spikevision.conversion import calibrate as calibrate_here
from spikevision.conversion.artefact import save
from spikevision.conversion.calibration import fingerprint
from spikevision.jobs.config import check_data
from spikevision.jobs.conversion_measure import Measurement, measure
from spikevision.jobs.conversion_page import conversion_page, conversion_values
from spikevision.jobs.conversion_plan import (
    CalibrationImages,
    ConversionPlan,
    calibration_path,
    check_is_ann,
    converted_config,
    plan_of,
)
from spikevision.jobs.files import write_atomically, write_json
from spikevision.jobs.progress import progress
from spikevision.jobs.run_dir import checked_output
from spikevision.jobs.runtime import Job, build_model, prepare, recorded
from spikevision.jobs.spec import RunResult, RunSpec
from spikevision.jobs.weights import load_weights
from spikevision.statistics import STATISTICS, summarise

MODEL_FILE = "model.safetensors"
VALUES = "conversion.json"
PAGE = "report.html"
SAVE_INTERVAL_S = 10.0


def convert(spec: RunSpec, *, calibrate: Callable[..., Statistics] = calibrate_here) -> RunResult:
    """Convert a checkpoint.

    The folder gets ``config.py`` and ``model.safetensors``, which are tested, inferred with and counted as any other
    config and checkpoint; ``calibration.safetensors``, from which an interrupted calibration goes on; and the report
    as ``conversion.json`` and ``report.html``.

    Args:
        spec: ``config`` and ``checkpoint`` of the ANN, ``output``; settings are the config's ``conversion`` field, see
            :class:`spikevision.jobs.conversion_plan.ConversionPlan`. ``spike_stats`` counts spikes on all images of
            the report, into ``statistics.json``, instead of on a few.
        calibrate: Counts the calibration batches; a cluster's does so in other processes.

    Raises:
        FileNotFoundError: Config, data, checkpoint or calibration file is missing.
        ValueError: One of them is not right, does not fit the others, or was converted before; says in what.
    """
    if spec.checkpoint is None or spec.output is None:
        raise ValueError("convert needs a checkpoint, and a folder for what it writes (-o)")
    output = checked_output(spec.output, job="convert")
    assert output is not None
    job = prepare(spec)
    plan = plan_of(job.config)
    check_is_ann(job.config)
    ann_config = Config(job.config.to_dict())
    loaders = ("train_dataloader",) if plan.calibration is None else ()
    check_data(
        ann_config, loaders=(*loaders, *(("test_dataloader",) if plan.report_images != 0 else ()))
    )
    model = build_model(ann_config)
    checkpoint = load_weights(model, spec.checkpoint)
    model.to(get_device())
    model.eval()
    prepare_(model, plan.settings, rules=plan.rules)
    converted = Job(converted_config(ann_config, plan), job.task, job.base)
    with recorded(converted, spec, name="convert", run_dir=output) as record:
        statistics = _calibrated(model, ann_config, plan, output, calibrate)
        with progress() as bar:
            bar.add_task("fitting", total=None)
            snn = convert_(
                model,
                statistics,
                plan.settings,
                rules=plan.rules,
                preprocessing=statistics.preprocessing,
            )
        save(snn, output / MODEL_FILE, meta=_meta(checkpoint))
        found = measure(snn, ann_config, plan, job.task, count_all=spec.spike_stats)
        _write_report(snn, plan, found, spec, output)
        metrics = found.stages[-1].metrics if found.stages else {}
        record.update(metrics=job.task.with_units(metrics), seed=0)
        return RunResult(
            run_dir=output, status="finished", metrics=metrics, checkpoint=output / MODEL_FILE
        )


def _calibrated(
    model: nn.Module,
    config: Config,
    plan: ConversionPlan,
    folder: Path,
    calibrate: Callable[..., Statistics],
) -> Statistics:
    """Statistics of the calibration file that was named, or of a new one, or of one that was begun here."""
    own = fingerprint(model)
    if plan.calibration is not None:
        statistics = _read(Path(plan.calibration))
        statistics.check(model=own, preprocessing=statistics.preprocessing)
        statistics.save(calibration_path(folder))
        return statistics
    images = CalibrationImages(config, plan)
    about = images.about(config, plan)
    path = calibration_path(folder)
    begun = _read(path) if path.is_file() else None
    if begun is not None:
        try:
            begun.check(model=own, preprocessing=about)
        except ValueError as error:
            raise ValueError(
                f"{error}. It is {str(path)!r}: remove it, or give another folder with -o"
            ) from error
    done = begun.images if begun else 0
    if begun is not None and done >= images.images:
        return begun
    saved_at = time.monotonic()
    with progress() as bar:
        line = bar.add_task("calibrating", total=images.images, completed=done)

        def after_batch(statistics: Statistics) -> None:
            nonlocal saved_at
            bar.update(line, completed=statistics.images)
            if time.monotonic() - saved_at > SAVE_INTERVAL_S:
                _save(statistics, path)
                saved_at = time.monotonic()

        statistics = calibrate(
            model,
            images.after(done),
            config=plan.settings,
            rules=plan.rules,
            preprocessing=about,
            start=begun,
            after_batch=after_batch,
        )
    _save(statistics, path)
    return statistics


def _read(path: Path) -> Statistics:
    if not path.is_file():
        raise FileNotFoundError(f"calibration file {str(path)!r} does not exist")
    return Statistics.load(path)


def _save(statistics: Statistics, path: Path) -> None:
    """Write the file so that it is whole or not there."""
    part = path.with_name(f".{path.name}.part")
    statistics.save(part)
    part.replace(path)


def _meta(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Names of the classes, from a checkpoint of mmengine."""
    known = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
    plain = {
        key: value for key, value in known.items() if isinstance(value, (str, int, list, tuple))
    }
    return {"dataset_meta": plain} if plain else {}


def _write_report(
    snn: SpikingModel, plan: ConversionPlan, found: Measurement, spec: RunSpec, folder: Path
) -> None:
    values = conversion_values(snn.report, found)
    snn.report.measurements.update(values["measurements"])
    write_json(folder / VALUES, values)
    if found.record is not None:
        summary = {"summary": summarise(found.record), "metrics": {}}
        write_json(folder / STATISTICS, {**found.record.to_dict(), **summary})
    facts = {"config": spec.config, "checkpoint": str(spec.checkpoint)}
    page = conversion_page(snn.report, found, facts=facts)
    write_atomically(folder / PAGE, page.encode())
