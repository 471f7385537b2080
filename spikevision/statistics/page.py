"""Style, script and small HTML pieces of the report: one page that needs nothing from outside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["figure", "listing", "number", "page", "section", "table", "tiles"]

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --back: #ffffff; --card: #f6f8fa; --line: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9aa4af; --back: #0d1117; --card: #161b22; --line: #30363d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
.wide { min-width: 44rem; } .wide .chart { margin: 0; border: 0; }
.tall { max-height: 34rem; overflow-y: auto; }
.chart { border: 1px solid var(--line); border-radius: 8px; background: var(--card); margin: .8rem 0; min-width: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .8rem; margin: .8rem 0 1.6rem; }
.tiles figure { margin: 0; min-width: 0; } .tiles .chart { margin: 0; overflow: hidden; }
figcaption { font-size: .75rem; color: var(--soft); overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: min(24rem, 40vw); overflow-wrap: anywhere; } tr:last-child td { border-bottom: 0; }
th { white-space: normal; vertical-align: bottom; position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 600; }
table.sortable th button { all: unset; cursor: pointer; } table.sortable th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: ' ▲'; } th[aria-sort=descending] button::after { content: ' ▼'; }
"""

SCRIPT = """
'use strict';
const value = cell => { const n = parseFloat(cell.dataset.value); return Number.isNaN(n) ? cell.textContent : n; };
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const sign = head.getAttribute('aria-sort') === 'descending' ? 1 : -1;
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending');
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a.cells[column]), value(b.cells[column])];
      if (typeof x === typeof y) return sign * (x < y ? -1 : x > y ? 1 : 0);
      return typeof x === 'number' ? -1 : 1;
    });
    table.tBodies[0].append(...rows);
  }));
}
const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return [style.getPropertyValue('--text').trim(), style.getPropertyValue('--line').trim()];
};
const themed = layout => {
  const [text, line] = colours();
  const changed = { 'font.color': text, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)' };
  for (const key of Object.keys(layout)) if (/^[xy]axis/.test(key)) {
    changed[key + '.gridcolor'] = line; changed[key + '.zerolinecolor'] = line; changed[key + '.linecolor'] = line;
    if (innerWidth < 500) changed[key + '.tickfont.size'] = 9;
  }
  return changed;
};
const charts = [...document.querySelectorAll('.chart')];
for (const chart of charts) {
  const { data, layout } = JSON.parse(chart.querySelector('script').textContent);
  delete layout.template;
  Plotly.newPlot(chart, data, layout, { responsive: true, displaylogo: false, displayModeBar: false })
    .then(() => Plotly.relayout(chart, themed(chart.layout)))
    .then(() => { chart.dataset.drawn = 'yes'; });
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of charts) Plotly.relayout(chart, themed(chart.layout));
});
"""


def page(title: str, parts: Iterable[str], *, plotly: str) -> str:
    """The whole page, with the text of plotly.js in it."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n<script>{plotly}</script>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def section(title: str, text: str, *parts: str) -> str:
    """A heading, a line of explanation, and what belongs to it."""
    return f'<h2>{escape(title)}</h2>\n<p class="soft">{escape(text)}</p>\n' + "\n".join(parts)


def listing(items: Iterable[str]) -> str:
    """A bulleted list."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, sortable: bool = False) -> str:
    """A table; numbers are shown with four digits and sorted by their exact values."""
    kind = ' class="sortable"' if sortable else ""
    titles = "".join(
        f"<th><button>{escape(head)}</button></th>" if sortable else f"<th>{escape(head)}</th>"
        for head in heads
    )
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    box = "scroll tall" if sortable else "scroll"
    return f'<div class="{box}"><table{kind}><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(chart: dict[str, Any]) -> str:
    """A place for a chart, with its data."""
    data = json.dumps(chart).replace("<", "\\u003c")
    return f'<div class="chart"><script type="application/json">{data}</script></div>'


def tiles(charts: Mapping[str, dict[str, Any]]) -> str:
    """Small charts side by side, as many as there is room for, each under its title."""
    items = "".join(
        f"<figure>{figure(chart)}<figcaption>{escape(title)}</figcaption></figure>"
        for title, chart in charts.items()
    )
    return f'<div class="tiles">{items}</div>'


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"<td>{escape('' if value is None else str(value))}</td>"
    return f'<td data-value="{value!r}">{number(value)}</td>'


def number(value: float) -> str:
    """Whole numbers in full, others with four digits; thousands are parted by commas."""
    return f"{value:,.0f}" if isinstance(value, int) or 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
