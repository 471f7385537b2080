import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "tools" / "benchmarks" / "recipes.py"


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("recipes", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "WORK", tmp_path)
    return module


def test_both_ways_to_t4_see_as_many_time_steps_times_images(recipes):
    assert recipes.EPOCHS * 4 == recipes.EPOCHS_T1 + recipes.EPOCHS_T4 * 4


def test_summary_is_the_mean_and_the_sample_deviation(recipes):
    runs = [dict(accuracy_percent=value, cpu_s=2.0) for value in (90.0, 92.0, 94.0)]
    assert recipes.summary(runs) == {
        "accuracies_percent": [90.0, 92.0, 94.0],
        "mean_percent": 92.0,
        "deviation_points": 2.0,
        "mean_cpu_s": 2.0,
    }
    assert recipes.summary(runs[:1])["deviation_points"] is None


def test_a_noted_training_is_not_done_again(recipes, tmp_path):
    noted = dict(accuracy_percent=50.0, cpu_s=1.0, checkpoint="x.pth")
    folder = tmp_path / "plain-250-3"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(noted))
    found = recipes.run(recipes.STUDENT, name="plain", epochs=1, seed=3, digits=250)
    assert found == noted


def test_the_student_of_the_distillation_is_the_plain_one_with_a_second_classifier(recipes):
    student = recipes.distilled("teacher.pth")["student"]
    assert student["backbone"] == recipes.STUDENT["backbone"]
    assert student["head"] == {**recipes.STUDENT["head"], "distillation_head": True}
