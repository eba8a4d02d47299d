"""A class folder with everything that a class hands in."""

import csv
from pathlib import Path

import pytest

from pgrad.cli import main as cli
from pgrad.errors import ConfigError
from pgrad.exercises import EXERCISES
from pgrad.exercises.grade import as_csv, class_map, grades

RIGHT = EXERCISES["rewards_to_go"].solutions["loops"]
FORWARDS = """
def rewards_to_go(rewards, discount):
    out, running = [], 0
    for r in rewards:
        running = r + discount * running
        out.append(running)
    return out
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "class"
    (made / "ada").mkdir(parents=True)
    (made / "ada" / "answers.py").write_text(RIGHT + EXERCISES["theorem_row"].solutions["loops"])
    (made / "bob.py").write_text(FORWARDS)
    (made / "cem.py").write_text(FORWARDS.replace("running", "g"))
    (made / "dora.py").write_text("rewards_to_go = ...\n")
    (made / "empty.py").write_text("")
    (made / "latin.py").write_bytes("x = 'Lösung'\n".encode("latin-1"))
    (made / "=1+1.py").write_text("def something_else():\n    return 1\n")
    (made / "notes.txt").write_text("no answer")
    (made / "link.py").symlink_to(made / "bob.py")
    return made


def test_every_answer_gets_its_row(folder: Path) -> None:
    rows = list(grades(folder, 3))
    assert [(row.name, row.exercise, row.verdict) for row in rows] == [
        ("=1+1", "", "unreadable"),
        ("ada/answers", "rewards_to_go", "right"),
        ("ada/answers", "theorem_row", "right"),
        ("bob", "rewards_to_go", "wrong"),
        ("cem", "rewards_to_go", "wrong"),
        ("dora", "rewards_to_go", "wrong"),
        ("empty", "", "unreadable"),
        ("latin", "", "unreadable"),
    ]
    assert {row.seed for row in rows} == {3}
    assert rows[5].mistake == "not begun yet" and "utf-8" in rows[7].where
    told = class_map(rows)
    assert "rewards_to_go: 1 of 4 right\n    2 × forward instead of backward cumulative sum" in told
    assert "not graded" in told
    assert as_csv(rows).splitlines()[1].startswith("'=1+1,")


def test_the_command_writes_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "grades.csv"
    assert cli.run(["exercise", "--grade", str(folder), "--out", str(out), "--seed", "3"]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows].count("right") == 2 and rows[0]["seed"] == "3"
    assert "8 answers, seed 3" in capsys.readouterr().out


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        list(grades(tmp_path / "nowhere", 0))
    with pytest.raises(ConfigError, match="no Python files"):
        list(grades(tmp_path, 0))
