"""`pgrad sweep`: what it reads, prints and leaves behind, and that a kill at any moment changes nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pgrad.cli import main as cli
from pgrad.cli.sweep import parser, values_in

SMALL = ("--algorithm", "reinforce", "--num-iterations", "2", "--hidden", "8", "--episodes", "3", "--seeds", "3")
ARGV = ("sweep", "CartPole-v1", *SMALL, "--learning-rate", "0.001,0.01", "--processes", "1")
REPRODUCED = ("results.csv", "summary.json", "sweep.json", "best.toml", "training_curves.png", "sensitivity.png")


def test_it_prints_a_table_and_leaves_files_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([*ARGV, "--select", "best"]) == 0
    out, err = capsys.readouterr()
    folder = Path("runs/sweep-CartPole-v1-reinforce")
    assert err.splitlines()[0] == f"CartPole-v1 · 2 settings × 3 seeds · {folder}/journal.jsonl"
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["learning_rate", "seeds", "failed"]
    assert [line.split()[0] for line in lines[1:3]] == ["0.001", "0.01"]
    assert "on fresh seeds, 3 to 5:" in out and "with 3 seeds no interval can be trusted" in out
    assert lines[-1] == f"written to {folder}; train with the best: pgrad train --config {folder}/best.toml"
    assert {path.name for path in folder.iterdir()} == {"journal.jsonl", "made_with.json", *REPRODUCED}
    before = (folder / "journal.jsonl").read_text()
    assert cli.run([*ARGV, "--select", "best", "--quiet"]) == 0
    again = capsys.readouterr()
    assert again.out == out and again.err == ""
    assert (folder / "journal.jsonl").read_text() == before, "nothing is run again"
    assert cli.run(["train", "--config", str(folder / "best.toml"), "--no-figures", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("argv", "messages"),
    [
        ((), ["no environment: name one, as in `pgrad sweep CartPole-v1 --learning-rate 0.001,0.01`"]),
        (("CartPole-v1", "--learning-rate", "0.1,-1,x"), ["must be positive and finite, not -1.0", "not 'x'"]),
        (("CartPole-v1", "--lr", "0.1"), ["unknown flag '--lr': did you mean '--learning-rate'?"]),
        (("CartPole-v7", "--seeds", "0"), ["CartPole-v7", "seeds must be a positive number"]),
        (("--grid", "none.toml", "--lr", "1"), ["cannot read --grid none.toml", "unknown flag '--lr'"]),
        (("CartPole-v1", "--discount", "0.8..0.9"), ["discount: a range needs trials, the number of draws"]),
        (("CartPole-v1", "--hidden", "64", "--hidden", "64"), ["hidden has 64 twice: remove one"]),
    ],
)
def test_mistakes_are_named_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: Any, messages: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["sweep", *argv]) == 2
    out, err = capsys.readouterr()
    assert all(message in err for message in messages)
    assert not out and not list(tmp_path.iterdir())


def test_commas_separate_values_but_where_a_value_has_commas() -> None:
    words = ["CartPole-v1", "--hidden", "128", "--hidden", "64,64", "--squash", "true, false", "--discount", "0.9"]
    arguments, problems = parser().parse([*words, "--discount", "0.8,0.7"])
    assert not problems
    assert values_in("hidden", arguments.hidden) == ["128", "64,64"]
    assert values_in("squash", arguments.squash) == ["true", "false"]
    assert values_in("discount", arguments.discount) == ["0.9", "0.8", "0.7"]


def test_a_sweep_killed_at_any_moment_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    alone = [sys.executable, "-m", "pgrad", *ARGV, "--out"]  # in one process, which compiles for all
    words = [sys.executable, "-m", "pgrad", *ARGV[:-1], "2", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run([*alone, str(whole)], capture_output=True, timeout=240).returncode == 0
    for lines in (1, 3, 6):
        process = subprocess.Popen([*words, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal = killed / "journal.jsonl"
        while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= lines):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert subprocess.run([*words, str(killed)], capture_output=True, timeout=240).returncode == 0
    for name in REPRODUCED:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert journal.read_text().count("\n") == 7, "no run was made twice"


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgrad.experiments.sweeps.sweep.make_run", interrupted)
    assert cli.run([*ARGV, "--out", str(tmp_path / "out")]) == 130
    assert "interrupted: the same command goes on where the sweep was" in capsys.readouterr().err
