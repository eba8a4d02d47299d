"""A report is one page that needs nothing else, with a table behind each figure."""

from html.parser import HTMLParser

from pgrad.reports.figures import new_figure
from pgrad.reports.page import Section, page, svg


class Read(HTMLParser):
    """The tags that are opened, whose balance is checked, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.said = ""
        self.feed(text)
        assert not self.opened, self.opened

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href") and not value.startswith("#")]
        if tag not in ("meta", "br"):
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.said += data


def test_a_page_holds_its_figures_and_a_table_behind_each_and_refers_to_nothing() -> None:
    figure, axes = new_figure(4, 3)
    axes.plot([1, 2], [3, 4])
    axes.set_xlabel("steps & <more>")
    rows = [("setting", "mean"), ("a < b", "3.0")]
    made = page("R & D", [Section("One", ["It is < 5."], figure, rows), Section("Two", [], None, rows)])
    read = Read(made)
    assert read.tags.count("svg") == 1 and read.tags.count("details") == 1 and read.tags.count("table") == 2
    assert not read.sources and "<script" not in made and "@import" not in made
    for text in ("R & D", "It is < 5.", "a < b", "steps & <more>"):
        assert text in read.said
    assert "prefers-color-scheme: dark" in made and "@media print" in made


def test_the_same_figure_is_the_same_bytes() -> None:
    def drawn() -> str:
        figure, axes = new_figure(4, 3)
        axes.fill_between([1, 2], [3, 4])
        return svg(figure)

    assert drawn() == drawn()
    assert drawn().startswith("<svg") and drawn().rstrip().endswith("</svg>")
