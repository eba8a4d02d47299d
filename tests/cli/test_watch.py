"""`pgrad watch`: a training followed by its folder."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from pgrad.cli import main as cli
from pgrad.cli import watch
from pgrad.runs.atomic import alone_in, held, write_atomically
from pgrad.runs.folder import read_config
from pgrad.runs.progress import last_rows, progress_in

SHORT = ("--preset", "none", "--total-steps", "3000", "--evaluation-episodes", "2", "--no-figures", "--quiet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("watched") / "run"
    assert cli.run(["train", "CartPole-v1", "--seeds", "2", "--out", str(run), *SHORT]) == 0
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_a_run_that_has_ended_is_told_at_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["watch", str(run)]) == 0
    line, end = capsys.readouterr().out.splitlines()
    summary = json.loads((run / "summary.json").read_text())
    assert line.startswith(f"{summary['total_steps']:,} steps (100%) · return ") and line.endswith("2 of 2 seeds begun")
    assert f"{run} has ended after {summary['total_steps']:,} steps; mean return " in end


def test_it_follows_what_grows_until_the_end(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training in slow motion: seeds and lines come one after another, the summary at last."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.0)
    metrics = (run / "seed-0" / "metrics.csv").read_bytes().splitlines(keepends=True)
    (run / "summary.json").rename(run / "kept")
    shutil.rmtree(run / "seed-1")
    steps = [
        b"",
        b"".join(metrics[:1]),
        b"".join(metrics[:3]),
        b"".join(metrics[:5]) + metrics[5][:7],
        b"".join(metrics),
    ]
    seen = []
    config, _ = read_config(run)
    for view in watch.views(run, config):
        seen.append([seed.iterations for seed in view.seeds])
        if steps:
            (run / "seed-0" / "metrics.csv").write_bytes(steps.pop(0))
        elif not (run / "summary.json").exists():
            (run / "kept").rename(run / "summary.json")
    assert seen == [[24], [], [], [2], [4], [24], [24]]


def test_a_training_that_died_is_no_endless_wait(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "summary.json").unlink()
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(watch, "SILENT_SECONDS", -1.0)
    assert cli.run(["watch", str(run)]) == 2
    assert f"`pgrad train --resume {run}` goes on" in capsys.readouterr().err
    with alone_in(run):
        assert held(run)
        thread = threading.Timer(
            0.1, lambda: write_atomically(run / "summary.json", '{"interrupted": true, "total_steps": 3}')
        )
        thread.start()
        assert cli.run(["watch", str(run)]) == 0, "whoever is silent and holds the folder is waited for"
    assert "was interrupted after 3 steps" in capsys.readouterr().out
    assert not held(run)


def test_what_is_no_run_is_an_error(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["watch", str(tmp_path / "none")]) == 2
    assert cli.run(["watch", str(tmp_path)]) == 2
    (run / "seed-1" / "metrics.csv").write_text("header\n1,2,x\nrest")
    assert cli.run(["watch", str(run)]) == 2
    (run / "seed-1" / "metrics.csv").unlink()
    os.mkfifo(run / "seed-1" / "metrics.csv")
    assert cli.run(["watch", str(run)]) == 2
    (run / "seed-1" / "metrics.csv").unlink()
    (run / "summary.json").write_text("{}")
    assert cli.run(["watch", str(run)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and "is no run folder" in lines[1] and "metrics.csv is not as pgrad wrote it" in lines[2]
    assert "is not a regular file" in lines[3] and "summary.json is not as pgrad wrote it" in lines[4]


def test_the_table_has_a_line_for_each_of_the_latest_seeds(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr(watch, "MOST_ROWS", 1)
    config, _ = read_config(run)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(watch.table(watch.View(run, config, progress_in(run))))
    title, header, row, rest, _ = capture.get().splitlines()
    assert title.startswith("CartPole-v1 · actor-critic · 6,") and header.split()[:2] == ["seed", "iteration"]
    assert row.split()[:3] == ["1", "24", "3,072"] and "1 seeds before" in rest


def test_only_whole_lines_of_a_long_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("a,b\n" + "".join(f"{k},{k}\n" for k in range(100_000)) + "7")
    rows = last_rows(path)
    assert rows[-1] == ["99999"] * 2 and len(rows) > 100 and len(set(map(len, rows))) == 1
