"""The page of a sweep: the best trial, what the values have to do with the metrics, accuracy against energy."""

import json
from collections.abc import Sequence
from importlib import import_module
from math import log10
from typing import Any

from spikevision.cluster.sweep_results import Row, SweepResult
from spikevision.statistics.figures import SNN_COLOUR, plotly_script
from spikevision.statistics.page import figure, listing, page, section, table
from spikevision.tasks import TaskSpec

OTHER_COLOUR = "#8a94a0"
CHART_PX = 420
FEW = 8  # different values, up to which each has its tick
LOG_RANGE = 20  # values further apart than this factor are drawn by their logarithm


def sweep_page(result: SweepResult, *, title: str, task: TaskSpec, clock: str) -> str:
    """The page, which opens without a network.

    Args:
        result: The sweep.
        title: Its name.
        task: Gives the units.
        clock: ``epoch`` or ``iter``.

    Raises:
        ImportError: Plotly is not installed.
    """
    parts = [_best(result, task)]
    judged = [row for row in result.rows if _main(result) in row.metrics]
    if len(result.objectives) > 1 and len(result.front) > 0:
        parts.append(_front(result, judged, task))
    if len(judged) > 1:
        parts.append(_coordinates(result, judged, task))
    parts.append(_trials(result, clock))
    return page(f"Sweep {title}", parts, plotly=plotly_script())


def _main(result: SweepResult) -> str:
    return next(iter(result.objectives))


def _best(result: SweepResult, task: TaskSpec) -> str:
    counts = {
        status: sum(row.status == status for row in result.rows)
        for status in ("finished", "stopped", "failed", "running", "waiting")
    }
    text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    best = result.best
    if best is None:
        return section("Best trial", f"{text}. No trial got as far as a validation.")
    values = [f"{name} = {value}" for name, value in best.values.items()]
    metrics = [
        f"{name}: {best.metrics[name]:.4g} {task.unit_of(name)} ({'more' if mode == 'max' else 'less'} is better)"
        for name, mode in result.objectives.items()
        if name in best.metrics
    ]
    place = [f"checkpoint: {best.checkpoint}"] if best.checkpoint else []
    return section(
        f"Best trial: {best.trial}",
        f"By {_main(result)} of its last validation. {len(result.rows)} trials: {text}.",
        listing([*metrics, *values, *place]),
    )


def _front(result: SweepResult, judged: Sequence[Row], task: TaskSpec) -> str:
    """The first two objectives against each other."""
    y, x = list(result.objectives)[:2]
    front = sorted(result.front, key=lambda row: row.metrics[x])
    names = {row.trial for row in front}
    rest = [row for row in judged if row.trial not in names and {x, y} <= row.metrics.keys()]
    objects = import_module("plotly.graph_objects")
    hover = "%{text}<extra></extra>"
    others = objects.Scatter(
        name="other trials",
        mode="markers",
        x=[row.metrics[x] for row in rest],
        y=[row.metrics[y] for row in rest],
        text=[_described(row, (y, x), task) for row in rest],
        marker={"color": OTHER_COLOUR, "size": 9},
        hovertemplate=hover,
    )
    line = objects.Scatter(
        name="not beaten by any",
        mode="lines+markers",
        x=[row.metrics[x] for row in front],
        y=[row.metrics[y] for row in front],
        text=[_described(row, (y, x), task) for row in front],
        line={"color": SNN_COLOUR, "shape": "hv" if len(front) > 1 else "linear"},
        marker={"color": SNN_COLOUR, "size": 11, "symbol": "diamond"},
        hovertemplate=hover,
    )
    chart = objects.Figure([others, line])
    chart.update_layout(
        height=CHART_PX,
        margin={"l": 8, "r": 8, "t": 40, "b": 40},
        xaxis={"title": {"text": _label(x, task)}, "nticks": 6},
        yaxis={"title": {"text": _label(y, task)}, "automargin": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    heads = ["trial", *next(iter(front)).values, y, x]
    rows = [[r.trial, *map(_shown, r.values.values()), r.metrics[y], r.metrics[x]] for r in front]
    return section(
        f"{y} against {x}",
        "Diamonds: no other trial is as good in all objectives and better in one. Trials that were stopped early stand "
        "where they were stopped.",
        figure(json.loads(chart.to_json())),
        table(heads, rows, sortable=True),
    )


def _coordinates(result: SweepResult, judged: Sequence[Row], task: TaskSpec) -> str:
    """A line per trial through its values and objectives."""
    objects = import_module("plotly.graph_objects")
    main = _main(result)
    names = list(judged[0].values)
    axes = [_axis(name, [row.values[name] for row in judged]) for name in names]
    for metric in result.objectives:
        rows = [row for row in judged if metric in row.metrics]
        if len(rows) == len(judged):
            axes.append({"label": _last(metric), "values": [row.metrics[metric] for row in rows]})
    lines = objects.Parcoords(
        dimensions=axes,
        line={
            "color": [row.metrics[main] for row in judged],
            "colorscale": "Viridis",
            "showscale": True,
            "reversescale": result.objectives[main] == "min",
            "colorbar": {"title": {"text": _label(main, task)}, "thickness": 12},
        },
        labelangle=-12,
        labelside="bottom",
    )
    chart = objects.Figure(lines)
    chart.update_layout(height=CHART_PX, margin={"l": 70, "r": 40, "t": 30, "b": 90})
    return section(
        "Values and objectives",
        "A line per trial that was validated; drag along an axis to see only some of them.",
        f'<div class="scroll"><div class="wide">{figure(json.loads(chart.to_json()))}</div></div>',
        listing(f"{_last(name)}: {name}" for name in names if _last(name) != name),
    )


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis of numbers, or of names where the values are no numbers."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        if min(values) > 0 and max(values) > LOG_RANGE * min(values):
            return {"label": f"{_last(name)} (log10)", "values": [log10(value) for value in values]}
        ticks = sorted(set(values))
        axis = {"label": _last(name), "values": list(values)}
        return {**axis, "tickvals": ticks} if len(ticks) <= FEW else axis
    shown = [_shown(value) for value in values]
    ticks = sorted(set(shown))
    return {
        "label": _last(name),
        "values": [ticks.index(value) for value in shown],
        "tickvals": list(range(len(ticks))),
        "ticktext": ticks,
    }


def _trials(result: SweepResult, clock: str) -> str:
    values = list(dict.fromkeys(name for row in result.rows for name in row.values))
    metrics = list(dict.fromkeys(name for row in result.rows for name in row.metrics))
    heads = ["trial", "status", *values, *metrics, clock, "of", "seconds", "why it failed"]
    rows = [
        [
            row.trial,
            row.status,
            *(_shown(row.values.get(name)) for name in values),
            *(row.metrics.get(name) for name in metrics),
            row.step,
            row.length,
            row.seconds,
            row.error,
        ]
        for row in result.rows
    ]
    text = "Metrics of the last validation of each. A heading sorts."
    return section("All trials", text, table(heads, rows, sortable=True))


def _described(row: Row, metrics: Sequence[str], task: TaskSpec) -> str:
    lines = [row.trial, *(f"{name} = {_shown(value)}" for name, value in row.values.items())]
    lines += [f"{name}: {row.metrics[name]:.4g} {task.unit_of(name)}" for name in metrics]
    return "<br>".join(lines)


def _label(metric: str, task: TaskSpec) -> str:
    unit = task.unit_of(metric)
    return f"{metric} ({unit})" if unit else metric


def _last(name: str) -> str:
    """The end of a field's name, which is what a reader knows it by."""
    return name.partition(" & ")[0].rpartition(".")[2]


def _shown(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) or value is None else json.dumps(value)
