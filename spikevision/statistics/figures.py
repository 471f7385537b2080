"""The charts of the report, as Plotly figures in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["energy_chart", "histogram_chart", "plotly_script", "rate_chart", "sample_chart"]

ROW_PX = 20
SNN_COLOUR, ANN_COLOUR = "#2a9d8f", "#e07a3f"
LABEL_LENGTH = 30


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
        x=[f"t = {step + 1}" for step in range(steps)],
        y=list(range(len(names))),
        customdata=[[name] * len(row) for name, row in zip(names, rates, strict=True)],
        colorscale="Viridis",
        zmin=0,
        hovertemplate="%{customdata}<br>%{x}: %{z:.4f}<extra></extra>",
        colorbar={"title": {"text": "rate"}, "thickness": 12},
    )
    layout = {
        "height": 140 + ROW_PX * len(names),
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
    for number, (run, energies) in enumerate(runs.items()):
        label = "spiking" if len(runs) == 1 else f"spiking: {run}"
        colour = SNN_COLOUR if len(runs) == 1 else None
        bars.append(_bars(objects, label, energies, "snn_mj", colour))
        if number == len(runs) - 1:
            bars.append(_bars(objects, "same network as ANN", energies, "ann_mj", ANN_COLOUR))
    rows = len(bars) * max((len(energies) for energies in runs.values()), default=1)
    layout = {
        "height": 150 + 28 * rows,
        "barmode": "group",
        "xaxis": {"type": "log", "title": {"text": "mJ per image (logarithmic)"}, "nticks": 6},
        "yaxis": {"autorange": "reversed"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return _figure(bars, layout)


def sample_chart(sample: Mapping[str, Any]) -> dict[str, Any]:
    """An image beside the spike maps of some layers."""
    subplots, objects = _plotly("subplots"), _plotly("graph_objects")
    maps = sample["maps"]
    columns = min(4, len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    titles = ["image", *(_short(entry["neuron"], 22) for entry in maps)]
    figure = subplots.make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.12)
    figure.add_trace(objects.Image(z=sample["pixels"]), 1, 1)
    for place, entry in enumerate(maps, start=1):
        heat = objects.Heatmap(
            z=entry["rates"],
            colorscale="Inferno",
            zmin=0,
            showscale=False,
            hovertemplate="%{z:.3f}<extra></extra>",
        )
        figure.add_trace(heat, place // columns + 1, place % columns + 1)
        figure.update_yaxes(autorange="reversed", row=place // columns + 1, col=place % columns + 1)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    for axis in range(1, len(maps) + 2):
        suffix = "" if axis == 1 else str(axis)
        figure.layout[f"yaxis{suffix}"].update(scaleanchor=f"x{suffix}")
    figure.update_annotations(font_size=11)
    figure.update_layout(height=60 + 210 * rows, margin={"l": 8, "r": 8, "t": 40, "b": 8})
    return json.loads(figure.to_json())


def _bars(
    objects: Any, label: str, energies: Sequence[Mapping[str, Any]], key: str, colour: str | None
) -> Any:
    return objects.Bar(
        name=label,
        orientation="h",
        y=[energy["model"] for energy in energies],
        x=[energy[key] for energy in energies],
        text=[f"{energy[key]:.3g}" for energy in energies],
        marker={"color": colour},
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
    return name if len(name) <= length else "…" + name[1 - length :]


def _plotly(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"plotly.{module}")
    except ImportError as error:
        raise ImportError(
            "the report draws with Plotly: pip install 'spikevision[report]'"
        ) from error
