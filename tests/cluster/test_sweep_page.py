import json
import random
import re

from spikevision.cluster.sweep_page import sweep_page
from spikevision.cluster.sweep_results import Row, SweepResult
from spikevision.tasks import TASKS

BOTH = {"accuracy/top1": "max", "energy_pj": "min"}
SURROGATES = ("sigmoid", "atan")


def sweep_of(count: int, objectives: dict = BOTH) -> SweepResult:
    generator = random.Random(0)
    rows = []
    for index in range(count):
        steps = 1 + index % 4
        metrics = {
            "accuracy/top1": 60 + 8 * steps + generator.uniform(-9, 9),
            "energy_pj": 2e8 * steps,
        }
        values = {
            "time_steps": steps,
            "model.*neuron.surrogate": SURROGATES[index % 2],
            "optim_wrapper.optimizer.lr": 10 ** generator.uniform(-4, -2),
        }
        status = "stopped" if index % 3 else "finished"
        rows.append(
            Row(
                trial=f"{index:05d}",
                values=values,
                status=status,
                step=3,
                length=9,
                metrics=metrics,
            )
        )
    failed = Row(
        trial="bad",
        values=rows[0].values,
        status="failed",
        length=9,
        error="ValueError: <b>threshold</b> is -1",
    )
    return SweepResult(
        location="here", status="finished", objectives=objectives, rows=[*rows, failed]
    )


def charts(page: str) -> list[dict]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [json.loads(chart) for chart in found]


def draw(result: SweepResult) -> str:
    return sweep_page(result, title="one", task=TASKS["classification"], clock="epoch")


def test_the_front_is_drawn_against_energy_and_every_trial_is_somewhere():
    result = sweep_of(12)
    front, lines = charts(draw(result))
    others, best = front["data"]
    assert len(best["x"]) == len(result.front) > 1
    assert len(others["x"]) + len(best["x"]) == 12
    assert front["layout"]["xaxis"]["title"]["text"] == "energy_pj (pJ)"
    assert front["layout"]["yaxis"]["title"]["text"] == "accuracy/top1 (%)"
    axes = {axis["label"]: axis for axis in lines["data"][0]["dimensions"]}
    assert list(axes) == ["time_steps", "surrogate", "lr (log10)", "accuracy/top1", "energy_pj"]
    assert axes["surrogate"]["ticktext"] == ["atan", "sigmoid"]
    assert axes["surrogate"]["values"][:2] == [1, 0]
    assert min(axes["lr (log10)"]["values"]) >= -4


def test_a_reader_sees_the_best_trial_and_why_one_failed_as_plain_text():
    result = sweep_of(12)
    page = draw(result)
    assert f"Best trial: {result.best.trial}" in page
    assert "4 finished, 8 stopped, 1 failed" in page
    assert "ValueError: &lt;b&gt;threshold&lt;/b&gt; is -1" in page


def test_with_one_objective_there_is_no_front():
    (lines,) = charts(draw(sweep_of(12, {"accuracy/top1": "max"})))
    assert lines["data"][0]["type"] == "parcoords"


def test_a_sweep_whose_trials_all_failed_has_a_page():
    failed = sweep_of(1).rows[-1]
    page = draw(SweepResult(location="", status="finished", objectives=BOTH, rows=[failed]))
    assert "No trial got as far as a validation" in page
    assert charts(page) == []
