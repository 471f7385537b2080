"""The convert job on a tiny classifier, and what becomes of its artefact."""

import json
import shutil

import pytest
import torch
from tiny_conversion import write_checkpoint, write_config

from spikevision.conversion import Statistics
from spikevision.jobs.convert import convert
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.spec import RunSpec


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    """Config and checkpoint."""
    config = write_config(tmp_path_factory.mktemp("ann"))
    return config, write_checkpoint(config)


@pytest.fixture(scope="module")
def out(ann, tmp_path_factory):
    """The folder of a conversion."""
    return run(ann, tmp_path_factory.mktemp("out")).run_dir


def run(ann, output, *, checkpoint=None, cfg_options=None, **kwargs):
    spec = RunSpec(
        config=str(ann[0]),
        checkpoint=str(checkpoint or ann[1]),
        output=str(output),
        cfg_options=cfg_options or {},
        **kwargs,
    )
    return convert(spec)


def values_of(folder):
    return json.loads((folder / "conversion.json").read_text())


def test_a_conversion_leaves_all_its_files_and_a_finished_record(out):
    names = {"config.py", "model.safetensors", "calibration.safetensors", "conversion.json"}
    assert names | {"report.html", "run.json", "statistics.json"} <= {p.name for p in out.iterdir()}
    record = json.loads((out / "run.json").read_text())
    assert (record["job"], record["status"]) == ("convert", "finished")
    assert not list(out.glob(".*part"))


def test_the_report_has_all_stages_layers_and_energies(out):
    found = values_of(out)["measurements"]
    assert found["images"] == 8
    assert [s["stage"] for s in found["stages"]] == ["ANN", "no spikes", "T = 1", "T = 2", "T = 4"]
    ann, plain, *spiking = found["stages"]
    assert ann["agreement_percent"] == plain["agreement_percent"] == 100  # operators are exact here
    assert all("accuracy/top1" in stage["metrics"] for stage in found["stages"])
    layers = found["layers"]["backbone.layers.0.ln1.layer_norm"]
    assert list(layers) == ["1", "2", "4"]
    assert layers["4"]["own_snr_db"] > layers["1"]["own_snr_db"]
    for step in layers.values():
        assert step["inherited_db"] == pytest.approx(step["own_snr_db"] - step["snr_db"])
    assert found["counted_images"] == 3
    assert 0 < found["event_rate"] <= 1
    for energy in found["energy"]:
        ratios = [energy["steps"][t]["to_ann"] for t in ("1", "2", "4")]
        assert ratios == sorted(ratios)
    classic = found["energy"][0]
    assert (classic["break_even_steps"] > 2) == (classic["steps"]["2"]["to_ann"] < 1)


def test_the_artefact_tests_like_any_other_model_and_answers_as_the_report_says(out, tmp_path):
    spec = RunSpec(
        config=str(out / "config.py"),
        checkpoint=str(out / "model.safetensors"),
        work_dir=str(tmp_path),
        spike_stats=True,
    )
    result = evaluate(spec)
    assert (
        result.metrics["accuracy/top1"]
        == values_of(out)["measurements"]["stages"][-1]["metrics"]["accuracy/top1"]
    )
    summary = json.loads((result.run_dir / "statistics.json").read_text())
    assert summary["summary"]["energy"][0]["break_even_steps"] > 0
    assert summary["images"] == {"32x32": 8}


def test_the_artefact_runs_for_another_number_of_steps(out, tmp_path):
    spec = RunSpec(
        config=str(out / "config.py"),
        checkpoint=str(out / "model.safetensors"),
        work_dir=str(tmp_path),
        cfg_options={"model.time_steps": 2},
        spike_stats=True,
    )
    record = json.loads((evaluate(spec).run_dir / "statistics.json").read_text())
    neuron = record["neurons"]["backbone.ln1.spiking_layer_norm_normalised"]
    assert len(neuron["by_size"]["32x32"]["spikes"]) == 2


def test_the_artefact_infers_with_the_names_of_its_classes(ann, out, tmp_path):
    spec = RunSpec(
        config=str(out / "config.py"),
        checkpoint=str(out / "model.safetensors"),
        inputs=str(ann[0].parent / "pictures" / "test" / "left"),
        output=str(tmp_path / "found"),
    )
    found = json.loads((infer(spec).run_dir / "predictions.json").read_text())
    assert found["classes"] == ["left", "right"]
    assert len(found["predictions"]) == 4


def test_an_interrupted_calibration_goes_on_and_counts_the_same(ann, out, tmp_path, monkeypatch):
    from spikevision.jobs import convert as job

    monkeypatch.setattr(job, "SAVE_INTERVAL_S", -1.0)
    seen = []

    def stops(model, batches, *, after_batch, **settings):
        def counted(statistics):
            after_batch(statistics)
            seen.append(statistics.images)
            if len(seen) == 2:
                raise KeyboardInterrupt

        return job.calibrate_here(model, batches, after_batch=counted, **settings)

    spec = RunSpec(config=str(ann[0]), checkpoint=str(ann[1]), output=str(tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        convert(spec, calibrate=stops)
    begun = Statistics.load(tmp_path / "out" / "calibration.safetensors")
    assert begun.images == 8
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "interrupted"
    run(ann, tmp_path / "out", cfg_options={"conversion.report_images": 0})
    for name in ("calibration.safetensors", "model.safetensors"):
        assert same(tmp_path / "out" / name, out / name)


def same(a, b):
    from safetensors.torch import load_file

    left, right = load_file(a), load_file(b)
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_a_calibration_file_can_be_named(ann, out, tmp_path):
    options = {
        "conversion.calibration": str(out / "calibration.safetensors"),
        "conversion.report_images": 0,
    }
    run(ann, tmp_path / "again", cfg_options=options)
    assert same(tmp_path / "again" / "model.safetensors", out / "model.safetensors")


def test_spikes_are_counted_on_all_images_where_that_is_asked_for(ann, tmp_path):
    run(ann, tmp_path, spike_stats=True, cfg_options={"conversion.time_steps": 1})
    assert values_of(tmp_path)["measurements"]["counted_images"] == 8


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conversion.time_steps": 0}, "time_steps must be at least 1, got 0"),
        ({"conversion.at": [1, 8]}, r"at must lie in 1 \.\.\. 4"),
        ({"conversion.at": []}, r"at must lie in 1 \.\.\. 4"),
        ({"conversion.calibration_images": 0}, "nothing to calibrate with"),
        ({"conversion.presets": "sta"}, "no field 'presets'"),
        ({"conversion.preset": "stb"}, "preset must be one of"),
        ({"conversion.rules": {"neck": None}}, "'neck' matches no module"),
        (
            {"train_dataloader": None},
            "nothing to calibrate with: the config has no train_dataloader",
        ),
        ({"model.head.num_classes": 3}, "is of another model than the config"),
        ({"model.data_preprocessor.std": [0.0]}, "not finite"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(ann, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(ann, tmp_path / "out", cfg_options=options)


def test_a_calibration_of_another_model_is_refused(ann, out, tmp_path):
    other = write_checkpoint(ann[0], seed=1)
    options = {"conversion.calibration": str(out / "calibration.safetensors")}
    with pytest.raises(ValueError, match="belongs to another model"):
        run(ann, tmp_path / "a", checkpoint=other, cfg_options=options)
    (tmp_path / "b").mkdir()
    shutil.copy(out / "calibration.safetensors", tmp_path / "b")
    with pytest.raises(ValueError, match=r"another model.*remove it, or give another folder"):
        run(ann, tmp_path / "b", checkpoint=other)
    with pytest.raises(FileNotFoundError, match="calibration file 'nowhere' does not exist"):
        run(ann, tmp_path / "c", cfg_options={"conversion.calibration": "nowhere"})


def test_a_calibration_of_other_images_is_refused(ann, out, tmp_path):
    shutil.copy(out / "calibration.safetensors", tmp_path)
    with pytest.raises(ValueError, match="made with the preprocessing"):
        run(ann, tmp_path, cfg_options={"conversion.calibration_images": 11})


def test_a_conversion_asked_twice_is_refused(out, tmp_path):
    twice = (out / "config.py", out / "model.safetensors")
    with pytest.raises(ValueError, match="a converted model: convert the ANN"):
        run(twice, tmp_path)


def test_the_weights_of_an_ann_are_no_converted_checkpoint(ann, out, tmp_path):
    spec = RunSpec(config=str(out / "config.py"), checkpoint=str(ann[1]), work_dir=str(tmp_path))
    with pytest.raises(ValueError, match="holds no conversion, it is that of an ANN"):
        evaluate(spec)


def test_the_folder_of_another_job_is_refused(ann, tmp_path):
    (tmp_path / "run.json").write_text('{"job": "train"}')
    with pytest.raises(ValueError, match="folder of a train run"):
        run(ann, tmp_path)


def test_without_checkpoint_or_folder_nothing_starts(ann):
    with pytest.raises(ValueError, match="needs a checkpoint"):
        convert(RunSpec(config=str(ann[0]), checkpoint=str(ann[1])))
