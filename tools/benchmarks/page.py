"""Make ``docs/benchmarks.md`` and its plots of the results in ``work_dirs/benchmarks/``.

Nothing is measured: run the benchmarks first, each as often and with as many settings as you like; the latest result
of each setting is shown. A benchmark without results is named as not measured.
"""

import argparse
from pathlib import Path

from results import FOLDER, read
from sections import SECTIONS, Section

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# Benchmarks

Made by `python tools/benchmarks/page.py` of results measured by the commands below; times are medians of interleaved
runs in one process, so that ratios hold where a busy machine makes milliseconds worthless. Less is better everywhere.
Targets, and what was missed, are in [figures.md](figures.md).
"""


def main() -> None:
    """Write page and plots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=FOLDER, help=f"default: {FOLDER}")
    parser.add_argument("--docs", type=Path, default=DOCS, help=f"default: {DOCS}")
    args = parser.parse_args()
    parts = [HEAD]
    for section in SECTIONS:
        lines = read(section.name, section.settings, args.results)
        parts.append(text_of(section, lines))
        for measure in section.measures if lines else ():
            plot(section, lines, measure, args.docs / picture(section, measure))
    (args.docs / "benchmarks.md").write_text("\n".join(parts))


def text_of(section: Section, lines: list[dict]) -> str:
    """A section in Markdown."""
    parts = [f"## {section.title}\n", section.about + "\n", f"`{section.command}`\n"]
    if not lines:
        return "\n".join([*parts, "Not measured yet.\n"])
    for measure, meaning in section.measures.items():
        parts.append(f"![{meaning}]({picture(section, measure)})\n")
    parts.append(table(section, lines))
    seen = dict.fromkeys(f"{line['processor']}; PyTorch {line['torch']}" for line in lines)
    parts.append(f"\nMeasured on: {' / '.join(seen)}; {max(line['date'] for line in lines)}.\n")
    return "\n".join(parts)


def table(section: Section, lines: list[dict]) -> str:
    """One row for each line: settings, then each measure of each contestant and how many times ours it is."""
    columns = [
        (measure, key)
        for measure in section.measures
        for key in section.contestants
        if any(key in line.get(measure, {}) for line in lines)
    ]
    titles = [f"{section.contestants[key]}, {section.measures[m]}" for m, key in columns]
    header = [*(key.replace("_", " ") for key in section.settings), *titles]
    rows = [header, ["---"] * len(header)]
    for line in lines:
        cells = [_cell(section, line.get(measure, {}), key) for measure, key in columns]
        rows.append([*(str(line.get(key, "")) for key in section.settings), *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(section: Section, values: dict, key: str) -> str:
    first = next(iter(section.contestants))
    if key not in values:
        return ""
    return f"{values[key]:g}" if key == first else f"{values[key]:g} ({_ratio(values, key, first)})"


def _ratio(values: dict, key: str, first: str) -> str:
    return f"{values[key] / values[first]:.2f}x" if values.get(first) else "-"


def plot(section: Section, lines: list[dict], measure: str, file: Path) -> None:
    """Horizontal bars: each contestant as a multiple of the first, one group for each line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    first, *_ = section.contestants
    lines = [line for line in lines if line.get(measure, {}).get(first)]
    height = 0.8 / len(section.contestants)
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.28 * len(lines) * len(section.contestants)))
    for index, (key, name) in enumerate(section.contestants.items()):
        shown = [(row, line[measure]) for row, line in enumerate(lines) if key in line[measure]]
        axes.barh(
            [row + index * height for row, _ in shown],
            [values[key] / values[first] for _, values in shown],
            height,
            label=name,
        )
    axes.set_yticks(
        [row + 0.4 - height / 2 for row in range(len(lines))],
        [" · ".join(f"{k} {line.get(k)}" for k in section.settings) for line in lines],
        fontsize=7,
    )
    axes.axvline(1.0, color="black", linewidth=0.6)
    axes.invert_yaxis()
    axes.set_xlabel(f"{section.measures[measure]}, as a multiple of {section.contestants[first]}")
    axes.legend(fontsize=7)
    figure.savefig(file, dpi=120, bbox_inches="tight")
    plt.close(figure)


def picture(section: Section, measure: str) -> str:
    """File name of a plot."""
    return f"benchmarks_{section.name}_{measure}.png"


if __name__ == "__main__":
    main()
