"""The teacher's page: its table of sections is that of the lesson."""

import re

from pgrad.exercises import EXERCISES

from .conftest import LESSON

SECTION = re.compile(r"export const \w+: Section = \{(.*?)\n\};", re.DOTALL)
TEACHING = LESSON.parent / "docs/teaching.md"


def rows() -> list[str]:
    """The table's rows, as the sections' files say."""
    found = []
    for file in sorted((LESSON / "src/sections").glob("s[0-9]*.ts")):
        section = SECTION.search(file.read_text("utf-8"))
        assert section is not None, file
        fields = dict(re.findall(r"^  (\w+): (.*),$", section[1], re.MULTILINE))
        title, link = fields["title"].strip('"'), fields["id"].strip('"')
        star = " ★" if fields["star"] == "true" else ""
        exercises = ", ".join(re.findall(r"\w+", fields.get("exercises", "")))
        cells = [f" {fields['number']} {title}", f" `#{link}`", f" {fields['minutes']}", star, f" {exercises}".rstrip()]
        found.append(f"|{' |'.join(cells)} |")
    return found


def test_the_table_of_sections_is_the_lessons() -> None:
    text = TEACHING.read_text("utf-8")
    assert [line for line in text.splitlines() if re.match(r"\| \d+ ", line)] == rows()
    minutes = {star: sum(int(row.split("|")[3]) for row in rows() if star in row) for star in ("|", "★")}
    assert f"The sections take {minutes['|']} minutes, those with a ★ {minutes['★']};" in text


def test_every_exercise_is_on_the_page_once() -> None:
    placed = [name for row in rows() for name in re.findall(r"\w+", row.split("|")[5])]
    assert sorted(placed) == sorted(EXERCISES)
