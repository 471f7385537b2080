"""The report of a conversion, from values put in by hand."""

import json
import math

import pytest

from spikevision.conversion import ConversionReport
from spikevision.conversion.report import PopulationReport
from spikevision.jobs.conversion_measure import Measurement, Stage
from spikevision.jobs.conversion_page import conversion_page, conversion_text, conversion_values

POPULATION = PopulationReport(
    name="ln.spiking_layer_norm_normalised",
    role="encode",
    function=None,
    units=1,
    channels=2,
    threshold=(0.5, 1.0, 2.0),
    low=-1.0,
    high=3.0,
)
REPORT = ConversionReport({"preset": "ecmt", "time_steps": 4}, "a1b2", 12, [POPULATION])


def stage(name, steps, top1, agreement):
    metrics = {"accuracy/top1": top1}
    return Stage(name=name, time_steps=steps, metrics=metrics, agreement_percent=agreement)


@pytest.fixture
def found():
    first = {"snr_db": 10.0, "own_snr_db": 14.0, "cosine": 0.9}
    exact = {"snr_db": math.inf, "own_snr_db": math.inf, "cosine": 1.0}
    return Measurement(
        at=(1, 4),
        images=8,
        stages=[stage("ANN", None, 75.0, 100.0), stage("T = 4", 4, 62.5, 87.5)],
        layers={"ln<1>": {1: first, 4: exact}, "gelu": {1: first, 4: first}},
    )


def test_values_are_json_and_tell_what_was_inherited(found):
    values = conversion_values(REPORT, found)
    layers = json.loads(json.dumps(values, allow_nan=False))["measurements"]["layers"]
    assert layers["ln<1>"]["1"]["inherited_db"] == 4.0  # 14 alone, 10 in the network
    assert layers["ln<1>"]["4"]["snr_db"] is None  # no noise at all
    assert values["schema"] == "spikevision.conversion/1"
    assert values["populations"][0]["threshold"] == (0.5, 1.0, 2.0)


def test_text_of_a_terminal(found):
    lines = conversion_text(conversion_values(REPORT, found)).splitlines()
    assert lines[0] == ("preset ecmt, T = 4, calibrated with 12 images: 1 populations of neurons")
    assert lines[2:6] == [
        "measured on 8 test images",
        "         accuracy/top1  agreement with the ANN %",
        "  ANN               75                       100",
        "  T = 4           62.5                      87.5",
    ]
    assert lines[-1].split() == ["gelu", "14", "10", "0.9"]  # the exact one is no error
    assert "energy" not in "\n".join(lines)


def test_many_metrics_are_rows_so_that_lines_stay_short():
    metrics = {f"coco/{name}": 0.5 for name in "abcdef"}
    stages = [
        Stage(name=name, time_steps=None, metrics=metrics, agreement_percent=None)
        for name in ("ANN", "no spikes")
    ]
    values = conversion_values(REPORT, Measurement(at=(1,), images=1, stages=stages))
    lines = conversion_text(values).splitlines()
    assert lines[2:5] == [
        "measured on 1 test image",
        "          ANN  no spikes",
        "  coco/a  0.5        0.5",
    ]
    assert len(lines) == 4 + 6


def test_the_page_stands_alone_and_shows_names_as_they_are(found):
    page = conversion_page(REPORT, found, facts={"config": "<b>vit.py"})
    assert "&lt;b&gt;vit.py" in page
    assert "ln&lt;1&gt;" in page
    assert "<b>vit.py" not in page
    assert 'src="http' not in page
    assert "Conversion by ecmt, T = 4" in page


def test_a_report_of_nothing_measured_has_its_populations():
    values = conversion_values(REPORT, Measurement(at=(1, 4)))
    assert conversion_text(values).count("\n") == 1
    assert POPULATION.name in conversion_page(REPORT, Measurement(at=(1, 4)), facts={})


def test_the_chart_shows_the_metric_of_the_task_even_where_it_comes_second():
    metrics = {"aAcc": 90.0, "mIoU": 50.0}
    stages = [
        Stage(name="ANN", time_steps=None, metrics=metrics, agreement_percent=100.0),
        Stage(name="T = 4", time_steps=4, metrics=metrics, agreement_percent=99.0),
    ]
    found = Measurement(at=(4,), images=8, stages=stages, layers={})
    text = conversion_page(REPORT, found, facts={})
    assert '"text":"mIoU"' in text.replace('": "', '":"')
    assert '"text":"aAcc"' not in text.replace('": "', '":"')
