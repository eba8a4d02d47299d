"""`pgrad tune`: what it reads, prints and leaves behind, and that Ctrl-C loses nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pgrad.cli import main as cli
from pgrad.cli.tune import space_of
from pgrad.errors import ConfigError
from pgrad.presets.preset import read

SMALL = ("--algorithm", "reinforce", "--steps", "300", "--episodes", "3", "--seeds", "2", "--halve", "none")
ARGV = ("tune", "CartPole-v1", "--processes", "1", "--budget-trials", "2", *SMALL)


def test_it_prints_a_table_and_writes_a_preset_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([*ARGV, "--range", "hidden=8", "--range", "learning-rate=1e-3..2e-3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["trial", "seeds", "mean", "return"]
    assert sorted(line.split()[0] for line in lines[1:3]) == ["0", "1"]
    folder = Path("runs/tune-CartPole-v1-reinforce")
    assert lines[-1] == f"written to {folder}/preset.toml; train with it: --preset {folder}/preset.toml"
    assert lines[-2] == str(read(str(folder / "preset.toml")))
    assert err.splitlines()[0] == (f"CartPole-v1 · reinforce · 2 on 2 seeds for 300 steps · {folder}/journal.jsonl")
    train = ["train", "CartPole-v1", "--preset", f"{folder}/preset.toml", "--no-figures", "--evaluation-episodes", "0"]
    assert cli.run(train) == 0
    assert "preset" in capsys.readouterr().err
    assert cli.run([*ARGV, "--quiet", "--range", "hidden=8", "--range", "learning-rate=1e-3..2e-3"]) == 0
    again = capsys.readouterr()
    assert again.out == out
    assert again.err == ""


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "no environment: name one, as in `pgrad tune CartPole-v1`"),
        (
            ("CartPole-v1", "--range", "hidden"),
            "--range needs NAME=VALUES, such as learning_rate=1e-4..1e-2, not 'hidden'",
        ),
        (("CartPole-v1", "--seeds", "0-4"), "seeds 0 is for reporting what was found"),
        (("CartPole-v1", "--space", "missing.toml"), "cannot read --space missing.toml: No such file"),
        (("CartPole-v1", "--trials", "3"), "unknown flag '--trials'"),
        (("CartPole-v1", "--algorithm", "pppo"), "unknown algorithm 'pppo': did you mean 'ppo'?"),
        (
            ("CartPole-v1", "--algorithm", "notebook"),
            "steps must be given: the settings that the search starts from end by",
        ),
    ],
)
def test_bad_input_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["tune", *argv]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert not out and not list(tmp_path.iterdir())


def test_flags_win_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text('learning_rate = "1e-3..1e-2"\nnum_envs = [4, 8]\nhidden = [[8], [8, 8]]')
    space = space_of(tmp_path / "space.toml", ["num-envs=16", "squash=true|false"])
    assert space == {
        "learning_rate": "1e-3..1e-2",
        "num_envs": "16",
        "hidden": [[8], [8, 8]],
        "squash": "true|false",
    }
    (tmp_path / "space.toml").write_text("= 3")
    with pytest.raises(ConfigError, match=r"--space .*space\.toml is not valid TOML"):
        space_of(tmp_path / "space.toml", [])


def test_ctrl_c_stops_the_processes_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """The second time with the runs that the first has left, to the same preset as without an interruption."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an ignored signal would be inherited
    words = [sys.executable, "-m", "pgrad", "tune", "CartPole-v1", "--budget-trials", "6", *SMALL, "--processes"]
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    alone = [*words, "1", "--out", str(whole)]  # in one process, which compiles for all
    assert subprocess.run(alone, capture_output=True, timeout=240).returncode == 0
    process = subprocess.Popen(
        [*words, "2", "--out", str(interrupted)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    journal = interrupted / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    signal.signal(signal.SIGINT, before)
    if process.returncode == 130:  # it may have been quicker
        assert "interrupted: the same command goes on where the search was" in err
        assert not out
    kept = journal.read_text().splitlines()
    again = [*words, "2", "--out", str(interrupted)]
    assert subprocess.run(again, capture_output=True, timeout=240).returncode == 0
    assert journal.read_text().splitlines()[: len(kept)] == kept
    assert (interrupted / "preset.toml").read_text() == (whole / "preset.toml").read_text()
