"""The charts of the report, as Plotly figures in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

__all__ = [
    "energy_chart",
    "histogram_chart",
    "line_chart",
    "plotly_script",
    "rate_chart",
    "sample_charts",
]

ROW_PX = 20
SNN_COLOUR, ANN_COLOUR = "#2a9d8f", "#e07a3f"
RUN_COLOURS = (SNN_COLOUR, "#4c78c8", "#a05fb5", "#b8860b", "#c2527a", "#6b7c32")
LABEL_LENGTH = 36
TILE_PX = 170


def plotly_script() -> str:
    """All of plotly.js, to be written into the page.

    Raises:
        ImportError: Plotly is not installed.
    """
    return _plotly("offline").get_plotlyjs()


def rate_chart(neurons: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Heat map of the firing rate by layer and time step."""
    objects = _plotly("graph_objects")
    names = list(neurons)
    rates = [neurons[name]["firing_rate_per_step"] for name in names]
    steps = max((len(row) for row in rates), default=1)
    heat = objects.Heatmap(
        z=rates,
        x=[step + 1 for step in range(steps)],
        y=list(range(len(names))),
        customdata=[[name] * len(row) for name, row in zip(names, rates, strict=True)],
        colorscale="Viridis",
        zmin=0,
        hovertemplate="%{customdata}<br>step %{x}: %{z:.4f}<extra></extra>",
        colorbar={"title": {"text": "rate"}, "thickness": 12},
    )
    layout = {
        "height": 140 + ROW_PX * len(names),
        "xaxis": {"title": {"text": "time step"}, "dtick": 1},
        "yaxis": {
            "tickvals": list(range(len(names))),
            "ticktext": [_short(n) for n in names],
            "autorange": "reversed",
        },
    }
    return _figure(heat, layout)


def histogram_chart(neurons: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Histogram of the channels' firing rates, of all layers or of one that is chosen."""
    objects = _plotly("graph_objects")
    histograms = {name: list(values["histogram"]) for name, values in neurons.items()}
    bins = len(next(iter(histograms.values()), [0] * 20))
    everything = [sum(counts[bin_] for counts in histograms.values()) for bin_ in range(bins)]
    places = [(bin_ + 0.5) / bins for bin_ in range(bins)]
    bars = objects.Bar(
        x=places,
        y=everything,
        width=[0.9 / bins] * bins,
        marker={"color": SNN_COLOUR},
        hovertemplate="%{y} channels at a rate of about %{x:.3f}<extra></extra>",
    )
    choices = {"all layers": everything, **histograms}
    buttons = [
        {"label": _short(name), "method": "restyle", "args": [{"y": [counts]}]}
        for name, counts in choices.items()
    ]
    layout = {
        "height": 360,
        "xaxis": {"title": {"text": "firing rate"}, "range": [0, 1]},
        "yaxis": {"title": {"text": "channels"}},
        "updatemenus": [
            {
                "buttons": buttons,
                "x": 0,
                "xanchor": "left",
                "y": 1.2,
                "bgcolor": "#dddddd",
                "font": {"color": "#111111"},
            }
        ],
    }
    return _figure(bars, layout)


def energy_chart(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Energy per image under each model, spiking network and ANN, of one run or several."""
    objects = _plotly("graph_objects")
    bars = []
    for (run, energies), colour in zip(runs.items(), cycle(RUN_COLOURS), strict=False):
        name = "" if len(runs) == 1 else f" {run}"
        bars.append(_bars(objects, f"spiking{name}", energies, "snn_mj", {"color": colour}))
        ann: dict[str, Any] = {"color": ANN_COLOUR}
        if len(runs) > 1:
            ann = {"color": colour, "pattern": {"shape": "/"}}
        bars.append(_bars(objects, f"ANN{name}", energies, "ann_mj", ann))
    rows = len(bars) * max((len(energies) for energies in runs.values()), default=1)
    values = [value for trace in bars for value in trace.x if value > 0]
    axis: dict[str, Any] = {
        "type": "log",
        "title": {"text": "mJ per image (logarithmic)"},
        "nticks": 6,
    }
    if values:  # with room for the numbers behind the bars
        axis["range"] = [math.log10(0.5 * min(values)), math.log10(3 * max(values))]
    layout = {
        "height": 150 + 28 * rows,
        "barmode": "group",
        "xaxis": axis,
        "yaxis": {"autorange": "reversed"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return _figure(bars, layout)


def line_chart(
    steps: Sequence[int],
    lines: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    level: float,
    log: bool,
) -> dict[str, Any]:
    """Something over the number of time steps, and the ANN's value as a dotted line.

    Args:
        steps: Numbers of steps.
        lines: Name -> value at each of them.
        title: What it is.
        level: Value of the ANN.
        log: Whether its axis is logarithmic; that of the steps is.
    """
    objects = _plotly("graph_objects")
    traces = [
        objects.Scatter(
            x=list(steps),
            y=list(values),
            name=name,
            mode="lines+markers",
            line={"color": colour},
            hovertemplate=f"{name}, T = %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        for (name, values), colour in zip(lines.items(), cycle(RUN_COLOURS), strict=False)
    ]
    ends = [min(steps), max(steps)] if len(steps) > 1 else [0.5 * steps[0], 2 * steps[0]]
    dotted = {"color": ANN_COLOUR, "dash": "dot"}
    traces.append(objects.Scatter(x=ends, y=[level, level], name="ANN", mode="lines", line=dotted))
    layout = {
        "height": 340,
        "xaxis": {
            "type": "log",
            "title": {"text": "time steps T"},
            "tickvals": list(steps),
            "ticktext": [str(step) for step in steps],
        },
        "yaxis": {"type": "log" if log else "linear", "title": {"text": title}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return _figure(traces, layout)


def sample_charts(sample: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An image and the spike maps of some layers, by title."""
    objects = _plotly("graph_objects")
    charts = {"image": _tile(objects.Image(z=sample["pixels"], hoverinfo="skip"))}
    for entry in sample["maps"]:
        heat = objects.Heatmap(
            z=entry["rates"],
            colorscale="Inferno",
            zmin=0,
            showscale=False,
            hovertemplate="%{z:.3f}<extra></extra>",
        )
        charts[entry["neuron"]] = _tile(heat)
    return charts


def _tile(trace: Any) -> dict[str, Any]:
    figure = _plotly("graph_objects").Figure(trace)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain", scaleanchor="x", autorange="reversed")
    figure.update_layout(height=TILE_PX, margin=dict.fromkeys("lrtb", 4))
    return json.loads(figure.to_json())


def _bars(
    objects: Any,
    label: str,
    energies: Sequence[Mapping[str, Any]],
    key: str,
    marker: dict[str, Any],
) -> Any:
    return objects.Bar(
        name=label,
        orientation="h",
        y=[energy["model"] for energy in energies],
        x=[energy[key] for energy in energies],
        text=[f"{energy[key]:.3g}" for energy in energies],
        textposition="outside",
        cliponaxis=False,
        marker=marker,
        hovertemplate="%{y}: %{x:.4g} mJ<extra>" + label + "</extra>",
    )


def _figure(traces: Any, layout: dict[str, Any]) -> dict[str, Any]:
    figure = _plotly("graph_objects").Figure(traces)
    margin = {"l": 8, "r": 8, "t": 40, "b": 40}
    figure.update_layout(margin=margin, **layout)
    figure.update_yaxes(automargin=True)
    return json.loads(figure.to_json())


def _short(name: str, length: int = LABEL_LENGTH) -> str:
    """The end of a long name, which is what tells layers apart."""
    name = name.removesuffix(".neuron")
    return name if len(name) <= length else "…" + name[1 - length :]


def _plotly(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"plotly.{module}")
    except ImportError as error:
        raise ImportError(
            "the report draws with Plotly: pip install 'spikevision[report]'"
        ) from error
