"""Draws the figures of docs/theory.md again, each by the snippet that stands above it."""

import re
from pathlib import Path
from typing import Any

from pgrad.reports.figures import save_figure

PAGE = Path(__file__).parent.parent / "docs" / "theory.md"
SNIPPET = re.compile(r"```python\n(.*?)```.*?!\[.*?\]\((.*?)\)", re.DOTALL)


def main() -> None:
    for code, picture in SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
        names: dict[str, Any] = {}
        exec(code, names)
        path = save_figure(names["figure"], PAGE.parent / picture)
        print(f"picture: {path.relative_to(PAGE.parent.parent)}\n")
