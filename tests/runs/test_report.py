"""A run's report says what its files say, and needs no environment for it; tables are read as columns."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.cli import main as cli
from pgrad.runs.report import read_run, run_sections
from pgrad.runs.tables import read_columns


@pytest.fixture
def run(tmp_path: Path) -> Path:
    def stop(iteration: Any) -> None:
        if iteration.seed == 4 and iteration.number == 20:
            iteration.stop()

    settings: dict[str, Any] = {"preset": "none", "total_steps": 3000, "evaluation_episodes": 12}
    result = pgrad.train("CartPole-v1", seeds=[3, 4], evaluate_every=1500, on_iteration=stop, **settings)
    pgrad.save(result, tmp_path / "run")
    return tmp_path / "run"


def test_the_report_says_what_the_files_say(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"written to {run / 'report.html'}\n"
    text = (run / "report.html").read_text(encoding="utf-8")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((run / "seed-4" / "policy.safetensors").read_bytes()).hexdigest()
    assert "<h1>CartPole-v1: actor-critic, 2 seeds</h1>" in text
    assert text.count("<svg") == text.count("<details>") == 4
    for said in (digest[:16], "Stopped early: seeds 4.", summary["made_with"]["processor"], "0 of 2 seeds"):
        assert said in text
    mean = float(np.mean([one["mean_return"] for one in summary["seeds"]]))
    shown = re.search(r"Mean return of the frozen policies: ([\d.]+)", text)
    assert shown is not None and float(shown[1]) == pytest.approx(mean, abs=0.051)
    rows = {section.heading: section.table for section in run_sections(run)[1]}
    assert rows["Settings"][1] == ("seeds", "3 to 4")
    assert ("total_steps", "3000") in rows["Settings"]
    assert [row[:2] for row in rows["Evaluation along the way"][1:]] == [("3", "1,536"), ("3", "3,072"), ("4", "1,536")]


def test_a_run_and_another_make_one_page(run: Path, tmp_path: Path) -> None:
    assert cli.run(["report", str(run), str(run), "--out", str(tmp_path / "both.html")]) == 0
    assert (tmp_path / "both.html").read_text(encoding="utf-8").count("How to make it again") == 2


def test_what_a_run_names_is_not_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise ZeroDivisionError")
    config = (run / "config.toml").read_text(encoding="utf-8")
    (run / "config.toml").write_text(config.replace('"CartPole-v1"', f'"{tmp_path / "mine.py"}:Mine"'))
    assert cli.run(["report", str(run)]) == 0


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("summary.json", None, "has no summary.json yet"),
        ("summary.json", "{}", "is no summary of a run"),
        ("seed-3/metrics.csv", "iteration,entropy\n1,a\n", "is no table of numbers"),
        ("config.toml", "env = 3", "is not a configuration"),
    ],
)
def test_what_is_missing_or_damaged_is_named(
    run: Path, file: str, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (run / file).unlink()
    else:
        (run / file).write_text(content)
    assert cli.run(["report", str(run)]) == 2
    assert message in capsys.readouterr().err


def test_columns_are_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2.5\n3,\n4,7")
    columns = read_columns(tmp_path / "a.csv")
    np.testing.assert_array_equal(columns["x"], [1, 3])
    np.testing.assert_array_equal(columns["y"], [2.5, np.nan])
    (tmp_path / "b.csv").write_text("x,y\n")
    assert {name: column.size for name, column in read_columns(tmp_path / "b.csv").items()} == {"x": 0, "y": 0}
    assert read_columns(tmp_path / "none.csv") == {}
    (tmp_path / "c.csv").write_text("x,y\n1\n")
    with pytest.raises(pgrad.RunError, match=r"c\.csv is no table of numbers"):
        read_columns(tmp_path / "c.csv")


def test_a_run_of_few_episodes_has_no_curve(run: Path) -> None:
    for seed in (3, 4):
        (run / f"seed-{seed}" / "episodes.csv").write_text("total_steps,length,episode_return\n")
        (run / f"seed-{seed}" / "evaluation.csv").unlink()
    headings = [section.heading for section in run_sections(run)[1]]
    assert "Training curve" not in headings and "Settings" in headings
    assert [one.returns.size for one in read_run(run).seeds] == [0, 0]
