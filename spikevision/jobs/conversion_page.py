"""What a conversion cost, as plain values, as text for a terminal, and as one HTML page."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from spikevision.conversion import ConversionReport
from spikevision.jobs.conversion_measure import Measurement
from spikevision.statistics import ENERGY_MODELS, RunStatistics, break_even_steps, summarise
from spikevision.statistics.figures import line_chart, plotly_script
from spikevision.statistics.page import figure, listing, number, page, section, table
from spikevision.statistics.report import run_sections
from spikevision.tasks import TASKS

SCHEMA = "spikevision.conversion/1"
WIDE = 6  # columns from which on a table of stages is turned


def conversion_values(report: ConversionReport, found: Measurement) -> dict[str, Any]:
    """All of the report, ready for JSON; a signal-to-noise ratio without noise is None."""
    stages = [
        {
            "stage": stage.name,
            "time_steps": stage.time_steps,
            "metrics": stage.metrics,
            "agreement_percent": stage.agreement_percent,
        }
        for stage in found.stages
    ]
    layers = {
        name: {str(t): _row(values) for t, values in steps.items()}
        for name, steps in found.layers.items()
    }
    measurements = {
        "images": found.images,
        "stages": stages,
        "layers_of": found.layers_of,
        "layers": layers,
        **_energy(found),
    }
    return {"schema": SCHEMA, **report.to_dict(), "measurements": measurements}


def _row(values: Mapping[str, float]) -> dict[str, float | None]:
    """A layer at a step: total error, own error, and how many dB were inherited."""
    row = dict(values)
    if "own_snr_db" in row and "snr_db" in row:
        row["inherited_db"] = row["own_snr_db"] - row["snr_db"]
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _energy(found: Measurement) -> dict[str, Any]:
    """Event rate, operations and energy at each T, of the images that were counted."""
    record = found.record
    if record is None or not record.layers:
        return {}
    energies = []
    for model in ENERGY_MODELS:
        steps = {t: model.estimate(record.first_steps(t)) for t in found.at}
        energies.append(
            {
                "model": model.name,
                "ann_mj": model.estimate(record).ann_pj / 1e9,
                "break_even_steps": break_even_steps(record, model),
                "steps": {
                    str(t): {
                        "snn_mj": energy.snn_pj / 1e9,
                        "to_ann": energy.snn_pj / energy.ann_pj if energy.ann_pj else None,
                        "macs": energy.macs,
                        "acs": energy.acs,
                    }
                    for t, energy in steps.items()
                },
            }
        )
    return {
        "counted_images": record.num_images,
        "event_rate": summarise(record)["firing_rate"],
        "energy": energies,
    }


def conversion_text(values: Mapping[str, Any]) -> str:
    """The report in the lines of a terminal."""
    found = values["measurements"]
    config = values["config"]
    lines = [
        f"preset {config['preset']}, T = {config['time_steps']}, calibrated with {_images(values['images'])}: "
        f"{len(values['populations'])} populations of neurons"
    ]
    heads, rows = _stage_table(found)
    if rows:
        lines += ["", f"measured on {_images(found['images'], 'test ')}", *_aligned(heads, rows)]
    if found.get("energy"):
        energy_heads, energy_rows = _energy_table(found)
        rate = f"{found['event_rate']:.3g} unit events per neuron and step"
        lines += [
            "",
            f"energy, spiking / ANN, of {_images(found['counted_images'])}; {rate}",
            *_aligned(energy_heads, energy_rows),
            "",
            "operations of an image",
            *_aligned(*_operations(found)),
        ]
    worst = _worst(found)
    if worst:
        lines += ["", f"largest own errors ({found['layers_of']}), SNR in dB", *_aligned(*worst)]
    return "\n".join([*lines, ""])


def _stage_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """One row per stage; metrics are columns, without those of single classes. Of many metrics the other way round."""
    stages = found.get("stages", [])
    names = [name for name in (stages[0]["metrics"] if stages else ()) if "precision" not in name]
    agrees = any(stage["agreement_percent"] is not None for stage in stages)
    heads = ["", *names, *["agreement with the ANN %"] * agrees]
    rows = [
        [
            stage["stage"],
            *(stage["metrics"].get(name) for name in names),
            *[stage["agreement_percent"]] * agrees,
        ]
        for stage in stages
    ]
    if len(heads) > WIDE:
        columns = zip(heads, *rows, strict=True)
        (_, *heads), *rows = ([title, *values] for title, *values in columns)
        return ["", *heads], rows
    return heads, rows


def _energy_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """One row per energy model; T are columns."""
    energies = found["energy"]
    steps = list(energies[0]["steps"])
    heads = ["energy model", "ANN (mJ)", *(f"T = {t}" for t in steps), "break-even T"]
    rows = [
        [
            each["model"],
            each["ann_mj"],
            *(each["steps"][t]["to_ann"] for t in steps),
            each["break_even_steps"],
        ]
        for each in energies
    ]
    return heads, rows


def _worst(found: Mapping[str, Any], number: int = 5) -> tuple[list[str], list[list[Any]]] | None:
    """The functions with the least own SNR at the largest T."""
    rows = [
        [name, *(steps[last].get(key) for key in ("own_snr_db", "snr_db", "cosine"))]
        for name, steps in found.get("layers", {}).items()
        for last in [max(steps, key=int)]
        if steps[last].get("own_snr_db") is not None
    ]
    rows.sort(key=lambda row: row[1])
    last = max((int(t) for steps in found.get("layers", {}).values() for t in steps), default=0)
    return (
        ([f"function, T = {last}", "own", "in the network", "cosine"], rows[:number])
        if rows
        else None
    )


def _aligned(heads: list[str], rows: list[list[Any]]) -> list[str]:
    shown = [heads, *([_shown(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(heads))]
    lines = []
    for row in shown:
        first, *rest = (
            value.ljust(width) if column == 0 else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(["", first, *rest]).rstrip())
    return lines


def _images(number: int, kind: str = "") -> str:
    return f"{number} {kind}image{'s' if number != 1 else ''}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return number(value) if isinstance(value, float) else str(value)


# --- the page


def conversion_page(
    report: ConversionReport, found: Measurement, *, facts: Mapping[str, str]
) -> str:
    """The page, which opens without a network.

    Args:
        report: What the conversion did.
        found: What was measured.
        facts: What else to say, e.g. the config.

    Raises:
        ImportError: Plotly is not installed.
    """
    values = conversion_values(report, found)
    config = values["config"]
    title = f"Conversion by {config['preset']}, T = {config['time_steps']}"
    parts = [
        section(
            "Conversion", "", listing(f"{k}: {v}" for k, v in {**facts, **_facts(values)}.items())
        ),
        *_measured(values["measurements"]),
        *_populations(values),
    ]
    if found.record is not None and found.record.layers:
        run = RunStatistics(name="run", record=found.record, metrics={})
        parts += list(run_sections(run))
    return page(title, parts, plotly=plotly_script())


def _facts(values: Mapping[str, Any]) -> dict[str, str]:
    settings = ", ".join(f"{name}={value}" for name, value in values["config"].items())
    return {
        "calibration images": str(values["images"]),
        "fingerprint of the ANN": values["model"],
        "settings": settings,
    }


def _measured(found: Mapping[str, Any]) -> Iterator[str]:
    heads, rows = _stage_table(found)
    if rows:
        text = (
            f"On {_images(found['images'], 'test ')}. 'no spikes' has the fitted operators and real values where spikes would be: "
            "what is lost there is lost to approximation, the rest to spiking."
        )
        yield section("ANN, operators, spikes", text, *_metric_charts(found), table(heads, rows))
    if found.get("energy"):
        heads, rows = _energy_table(found)
        text = (
            f"Of {_images(found['counted_images'])}; {found['event_rate']:.3g} unit events per neuron and step. Numbers are "
            "energy of the spiking network over that of the ANN; break-even is the T at which both are equal."
        )
        lines = {
            each["model"]: [step["to_ann"] for step in each["steps"].values()]
            for each in found["energy"]
        }
        steps = [int(t) for t in found["energy"][0]["steps"]]
        chart = line_chart(steps, lines, title="energy, spiking / ANN", level=1.0, log=True)
        yield section("Energy against the ANN", text, figure(chart), table(heads, rows))
        yield section("Operations by T", "Per image.", table(*_operations(found)))
    if found["layers"]:
        text = (
            f"Functions of {found['layers_of']}: signal-to-noise ratio of the running mean against the ANN in the network "
            "(SNR) and alone, fed with true values (own); the difference is inherited. A heading sorts."
        )
        yield section("Layers", text, table(*_layers(found), sortable=True))


def _metric_charts(found: Mapping[str, Any]) -> Iterator[str]:
    """The metric that tells most of its task over T, beside that of the ANN."""
    stages = found["stages"]
    metrics = stages[0]["metrics"]
    first = [task.metric for task in TASKS.values() if task.metric in metrics]
    name = next(iter([*first, *metrics]), None)
    spiking = [stage for stage in stages if stage["time_steps"]]
    if name is None or not spiking:
        return
    line = {"spiking": [stage["metrics"][name] for stage in spiking]}
    steps = [stage["time_steps"] for stage in spiking]
    yield figure(line_chart(steps, line, title=name, level=stages[0]["metrics"][name], log=False))


def _operations(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    strict = next(each for each in found["energy"] if each["model"].startswith("strict"))
    rows = [
        [f"T = {t}", step["acs"] / 1e6, step["macs"] / 1e6] for t, step in strict["steps"].items()
    ]
    return ["", "accumulates (M)", "multiply-accumulates (M)"], rows


def _layers(found: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    names = ("snr_db", "own_snr_db", "inherited_db", "cosine")
    titles = ("SNR dB", "own dB", "inherited dB", "cosine")
    steps = list(next(iter(found["layers"].values())))
    chosen = steps if len(steps) <= 3 else [steps[0], steps[len(steps) // 2], steps[-1]]
    heads = ["function", *(f"{title}, T={t}" for t in chosen for title in titles)]
    rows = [
        [name, *(by_step[t].get(key) for t in chosen for key in names)]
        for name, by_step in found["layers"].items()
    ]
    return heads, rows


def _populations(values: Mapping[str, Any]) -> Iterator[str]:
    heads = [
        "population",
        "stands for",
        "neurons per value",
        "channels",
        "least threshold",
        "median",
        "greatest",
    ]
    rows = [
        [p["name"], p["function"] or p["role"], p["units"], p["channels"], *p["threshold"]]
        for p in values["populations"]
    ]
    if rows:
        text = "Groups of neurons that the conversion made. A heading sorts."
        yield section("Populations", text, table(heads, rows, sortable=True))
