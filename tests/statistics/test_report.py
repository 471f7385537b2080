"""The report in a real headless browser. Needs Plotly, Playwright and Debian's chromium."""

import shutil
import sys

import pytest
import torch
from torch import nn

from spikevision.statistics import RunStatistics, SpikeRecorder, report_page
from spikevision.statistics.figures import energy_chart
from spikevision.statistics.samples import SpikeSamples
from spikevision.testing import build_classifier

pytest.importorskip("plotly", reason="the report draws with Plotly")


def run_of(name: str, seed: int) -> RunStatistics:
    torch.manual_seed(seed)
    arch = dict(embed_dims=32, depth=2, num_heads=2)
    model = build_classifier(dict(type="Spikformer", variant="cifar", arch=arch), 4).train()
    images = torch.randn(4, 3, 32, 32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model(images)
        model.eval()
        samples = SpikeSamples(model, count=2)
        with SpikeRecorder(model) as recorder:
            model(images)
    return RunStatistics(
        name=name,
        record=recorder.record,
        metrics={"accuracy/top1": 70.0 + seed},
        facts={"config": "tiny.py"},
        samples=samples.images,
    )


@pytest.fixture(scope="module")
def runs() -> list[RunStatistics]:
    return [run_of("first", 0), run_of("second", 1)]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt install chromium)")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A report in the browser, with all that it complained about and asked for."""

    def __init__(self, browser, path, **settings) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(**settings)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri(), timeout=120_000)
        self.page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every(c => c.dataset.drawn === 'yes')",
            timeout=120_000,
        )

    def _note(self, message) -> None:
        if message.type in ("error", "warning") and "GPU" not in message.text:
            self.errors.append(message.text)


@pytest.fixture
def report(runs, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report_page(runs[:1]))
    return path


@pytest.mark.slow
def test_the_page_draws_all_charts_without_errors_or_requests(browser, report):
    opened = Opened(browser, report)
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    # energy, rates, histogram, and of two images the picture and six maps: each has marks in it
    marks = opened.page.evaluate(
        "[...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('.bars path, .hm image, .im image').length)"
    )
    assert len(marks) == 3 + 2 * 7
    assert all(marks)


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_by_value_and_a_second_click_turns_it_round(browser, report):
    page = Opened(browser, report).page
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => parseFloat(r.cells[3].dataset.value))"
    before = page.evaluate(column)
    page.click("table.sortable th:nth-child(4) button")
    assert page.evaluate(column) == sorted(before, reverse=True)
    page.click("table.sortable th:nth-child(4) button")
    assert page.evaluate(column) == sorted(before)
    assert before != sorted(before)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_text_stands_out_and_nothing_sticks_out(browser, report, tmp_path, scheme, width):
    opened = Opened(browser, report, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    luminance = """element => {
        const [r, g, b] = getComputedStyle(element)[%r].match(/[\\d.]+/g).map(Number);
        return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    }"""
    back = page.eval_on_selector("body", luminance % "backgroundColor")
    texts = ".chart .ytick text, .chart .xtick text, .chart .bartext"
    for selector, style in (("body", "color"), (texts, "fill")):
        assert abs(page.eval_on_selector(selector, luminance % style) - back) > 0.5
    assert (back < 0.2) == (scheme == "dark")


@pytest.mark.slow
def test_two_runs_are_compared_on_one_page(browser, runs, tmp_path):
    path = tmp_path / "both.html"
    path.write_text(report_page(runs))
    page = Opened(browser, path).page
    assert "Spike statistics of 2 runs" in page.title()
    assert page.evaluate("document.querySelector('tbody').rows.length") == 2
    assert page.evaluate("document.querySelectorAll('.chart').length") == 1 + 2 * (2 + 2 * 7)


def test_each_run_is_compared_with_the_ann_of_its_own_shape():
    def energy(snn_mj: float, ann_mj: float) -> list[dict]:
        return [{"model": "chip", "snn_mj": snn_mj, "ann_mj": ann_mj}]

    chart = energy_chart({"small": energy(1, 2), "large": energy(10, 20)})
    shown = {bars["name"]: bars["text"] for bars in chart["data"]}
    assert shown == {
        "spiking small": ["1"],
        "ANN small": ["2"],
        "spiking large": ["10"],
        "ANN large": ["20"],
    }


def test_without_plotly_the_error_names_the_extra_to_install(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"pip install 'spikevision\[report\]'"):
        report_page(runs[:1])


def test_runs_of_the_same_name_are_refused(runs):
    with pytest.raises(ValueError, match="same name"):
        report_page([runs[0], runs[0]])


def test_a_report_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one run"):
        report_page([])
