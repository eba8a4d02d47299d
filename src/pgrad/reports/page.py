"""A report as one page of HTML that needs nothing else: figures as SVG with a table behind each."""

import html
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

Rows = Sequence[Sequence[str]]  # headings first

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #d0d4da; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --paper: #15181c; --faint: #3a4048; }
  figure svg { filter: invert(0.93) hue-rotate(180deg); }
}
@media print {
  :root { --ink: #000; --paper: #fff; --faint: #bbb; }
  figure svg { filter: none; }
  figure { break-inside: avoid; }
  .wide { overflow: visible; }
  table { font-size: 0.6rem; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1, h2 { line-height: 1.2; }
figure { margin: 1rem 0; }
figure svg { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem 0.25rem 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--faint); }
p { overflow-wrap: anywhere; }
summary { cursor: pointer; }
"""


class Section(NamedTuple):
    """A part of a report: a heading, sentences, a figure and a table, which is behind the figure where there is one."""

    heading: str
    sentences: Sequence[str] = ()
    figure: Figure | None = None
    table: Rows = ()


def how_to_repeat(made_with: Mapping[str, Any]) -> Section:
    """Return the part that says by which command, when and with what something was made: system.provenance."""
    rest = {name: value for name, value in made_with.items() if name not in ("command", "packages")}
    rows = [(name, str(value)) for name, value in {**rest, **made_with["packages"]}.items()]
    return Section("How to make it again", [made_with["command"]], None, [("made with", ""), *rows])


def page(title: str, sections: Sequence[Section]) -> str:
    """Return a report as HTML: light or dark as the reader's system is, and light on paper."""
    body = "\n".join(map(in_html, sections))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def in_html(section: Section) -> str:
    """Return a section as HTML."""
    parts = [f"<section>\n<h2>{html.escape(section.heading)}</h2>"]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences]
    table = table_in_html(section.table) if section.table else ""
    if section.figure is not None:
        parts.append(f'<figure role="img" aria-label="{html.escape(section.heading)}">{svg(section.figure)}</figure>')
        table = f"<details><summary>The same as a table</summary>\n{table}\n</details>" if table else ""
    return "\n".join([*parts, table, "</section>"])


def table_in_html(rows: Rows) -> str:
    """Return a table whose first row are the headings."""
    headings, *others = (map(html.escape, row) for row in rows)
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in others]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in headings)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def svg(figure: Figure) -> str:
    """Return a figure as an SVG element, the same bytes each time, its text as text."""
    image = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "pgrad", "svg.fonttype": "none"}):
        figure.savefig(image, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = image.getvalue()
    return text[text.index("<svg") :]
