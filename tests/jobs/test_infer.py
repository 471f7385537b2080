import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image
from tiny_training import SPIKING

from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.infer import infer
from spikevision.jobs.infer_reader import Reader


@pytest.fixture
def checkpoint(spiking_checkpoint: str) -> str:
    return spiking_checkpoint


def predictions(result) -> dict:
    return json.loads((result.run_dir / "predictions.json").read_text())


def test_a_folder_gives_one_prediction_and_one_picture_per_image(
    spiking_spec, checkpoint, pictures
):
    result = infer(spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test")))
    assert result.status == "finished"
    found = predictions(result)
    assert len(found["predictions"]) == 8
    assert found["failures"] == {}
    for entry in found["predictions"]:
        assert sum(entry["scores"]) == pytest.approx(1.0, abs=1e-5)
        assert entry["score"] == max(entry["scores"])
        with Image.open(result.run_dir / entry["picture"]) as picture:
            assert min(picture.size) >= 200


def test_predictions_are_those_that_the_test_job_counts(spiking_spec, checkpoint, pictures):
    accuracy = evaluate(spiking_spec(checkpoint=checkpoint)).metrics["accuracy/top1"]
    found = predictions(infer(spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test"))))
    right = [entry["class"] == Path(entry["image"]).parent.name for entry in found["predictions"]]
    assert 100 * sum(right) / len(right) == pytest.approx(accuracy)


def test_one_image_can_be_given(spiking_spec, checkpoint, pictures):
    image = pictures / "test" / "right" / "0.png"
    found = predictions(infer(spiking_spec(checkpoint=checkpoint, inputs=str(image))))
    assert [entry["image"] for entry in found["predictions"]] == [str(image)]
    assert found["predictions"][0]["class"] in ("left", "right")


def test_a_bad_image_is_reported_and_the_others_are_predicted(spiking_spec, checkpoint, pictures):
    bad = pictures / "test" / "left" / "1.png"
    bad.write_bytes(b"no picture at all")
    result = infer(spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test")))
    assert result.status == "incomplete"
    assert list(result.failures) == [str(bad)]
    assert len(predictions(result)["predictions"]) == 7
    assert json.loads((result.run_dir / "run.json").read_text())["status"] == "incomplete"


def test_when_no_image_can_be_read_it_is_an_error(spiking_spec, checkpoint, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture at all")
    with pytest.raises(
        ValueError, match=r"none of the 1 inputs .* could be predicted on: cannot read image"
    ):
        infer(spiking_spec(checkpoint=checkpoint, inputs=str(tmp_path / "bad.png")))


def test_missing_and_empty_inputs_are_clear_errors(spiking_spec, checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        infer(spiking_spec(checkpoint=checkpoint, inputs=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no image"):
        infer(spiking_spec(checkpoint=checkpoint, inputs=str(tmp_path / "empty")))


def test_the_data_preprocessor_may_stand_beside_the_model(
    spiking_spec, checkpoint, pictures, tmp_path
):
    preprocessor = {"type": "ClsDataPreprocessor", **SPIKING["data_preprocessor"]}
    options = {
        "model": {key: value for key, value in SPIKING.items() if key != "data_preprocessor"},
        "data_preprocessor": preprocessor,
    }
    inside, beside = (
        predictions(
            infer(
                spiking_spec(
                    checkpoint=checkpoint, inputs=str(pictures / "test"), cfg_options=changes
                )
            )
        )["predictions"]
        for changes in ({}, options)
    )
    assert [entry["scores"] for entry in inside] == [entry["scores"] for entry in beside]


def test_results_go_to_the_folder_that_is_asked_for(spiking_spec, checkpoint, pictures, tmp_path):
    image = pictures / "test" / "right" / "0.png"
    spec = spiking_spec(checkpoint=checkpoint, inputs=str(image), output=str(tmp_path / "out"))
    assert infer(spec).run_dir == tmp_path / "out"
    assert (tmp_path / "out" / "pictures" / "0.png").is_file()
    infer(spec)  # again: takes the place of its own results


def test_the_folder_of_a_training_is_not_written_over(spiking_spec, checkpoint, pictures):
    folder = Path(checkpoint).parent
    before = (folder / "run.json").read_bytes()
    with pytest.raises(ValueError, match="folder of a train run: give another folder"):
        infer(
            spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test"), output=str(folder))
        )
    assert (folder / "run.json").read_bytes() == before


def test_what_was_predicted_before_a_signal_is_kept(
    spiking_spec, checkpoint, pictures, monkeypatch
):
    read = Reader.read

    def read_and_stop(self, shot):
        os.kill(os.getpid(), signal.SIGTERM)
        return read(self, shot)

    monkeypatch.setattr(Reader, "read", read_and_stop)
    result = infer(spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test")))
    assert (result.status, result.signal) == ("interrupted", signal.SIGTERM)
    assert len(predictions(result)["predictions"]) == 1


def test_an_unexpected_error_loses_nothing(spiking_spec, checkpoint, pictures, monkeypatch):
    read = Reader.read

    def read_some(self, shot):
        if shot.medium.name == "right/2.png":
            raise RuntimeError("the device is gone")
        return read(self, shot)

    monkeypatch.setattr(Reader, "read", read_some)
    spec = spiking_spec(checkpoint=checkpoint, inputs=str(pictures / "test"))
    with pytest.raises(RuntimeError, match="the device is gone"):
        infer(spec)
    (kept,) = Path(spec.work_dir).glob("*/predictions.json")
    assert len(json.loads(kept.read_text())["predictions"]) == 6
