"""Grade a folder of answers: each file in a process of its own, with numbers that the class has not seen.

A file belongs to whom its path names: `ada.py`, or `ada/rewards_to_go.py`. It is checked against every exercise whose
function it defines.
"""

import ast
import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pgrad.errors import ConfigError
from pgrad.exercises.calls import Trouble
from pgrad.exercises.check import EXERCISES
from pgrad.exercises.contain import check_file, parsed
from pgrad.exercises.verdict import Verdict

COLUMNS = ("name", "exercise", "verdict", "mistake", "where", "seed")
RIGHT, WRONG, UNREADABLE = "right", "wrong", "unreadable"


class Grade(NamedTuple):
    """One answer of one learner."""

    name: str  # the file's path in the folder, without .py
    exercise: str  # empty where the file defines none
    verdict: str  # right, wrong, or unreadable
    mistake: str
    where: str
    seed: int


def grades(folder: Path, seed: int) -> Iterator[Grade]:
    """Yield a grade for each exercise in each Python file below a folder; links are left out.

    Raises ConfigError if the folder is none, or has no Python files.
    """
    if not folder.is_dir():
        raise ConfigError([f"'{folder}' is no folder: give the one that holds the answers"])
    files = [path for path in sorted(folder.rglob("*.py")) if path.is_file() and not path.is_symlink()]
    if not files:
        raise ConfigError([f"'{folder}' has no Python files: answers are .py files in it or below it"])
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            answered = defined(path)
        except (Trouble, OSError) as trouble:
            yield Grade(name, "", UNREADABLE, getattr(trouble, "name", "cannot be read"), str(trouble), seed)
            continue
        if not answered:
            yield Grade(name, "", UNREADABLE, "no exercise", "the file defines no function of an exercise", seed)
        for exercise in answered:
            yield grade_of(name, check_file(exercise, path, seed))


def defined(path: Path) -> list[str]:
    """Return the exercises whose functions a file defines, in the lesson's order; raise Trouble if it is no Python."""
    names = set()
    for node in ast.walk(parsed(path.read_bytes())):
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return [name for name in EXERCISES if name in names]


def grade_of(name: str, verdict: Verdict) -> Grade:
    """Return a verdict as a row."""
    where = "" if verdict.right else verdict.where
    return Grade(name, verdict.exercise, RIGHT if verdict.right else WRONG, verdict.mistake, where, verdict.seed)


def as_csv(rows: list[Grade]) -> str:
    """Return the grades as CSV; a field that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[tame(field) for field in row] for row in rows])
    return text.getvalue()


def tame(field: str | int) -> str | int:
    """Return a field that is no formula."""
    return f"'{field}" if isinstance(field, str) and field[:1] in ("=", "+", "-", "@", "\t", "\r") else field


def class_map(rows: list[Grade]) -> str:
    """Return how many made which mistake in each exercise, the commonest first: tomorrow's first slide."""
    lines = []
    for exercise in EXERCISES:
        of_exercise = [row for row in rows if row.exercise == exercise]
        if of_exercise:
            right = sum(row.verdict == RIGHT for row in of_exercise)
            lines.append(f"{exercise}: {right} of {len(of_exercise)} right")
            counted = Counter(row.mistake for row in of_exercise if row.mistake)
            lines += [f"  {count:3} × {mistake}" for mistake, count in counted.most_common()]
    unreadable = [row for row in rows if row.verdict == UNREADABLE]
    if unreadable:
        lines.append(f"not graded: {', '.join(f'{row.name} ({row.mistake})' for row in unreadable)}")
    return "\n".join(lines)
