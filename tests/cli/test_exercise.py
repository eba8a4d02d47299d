"""`pgrad exercise`: what it prints, what it writes, and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pgrad.cli import main as cli
from pgrad.exercises import EXERCISES, Verdict

WRONG = "def rewards_to_go(rewards, discount):\n    return rewards\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    return cli.run(["exercise", *argv])


def test_the_list_names_every_exercise(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    printed = capsys.readouterr().out
    assert run() == 0
    assert capsys.readouterr().out == printed
    for exercise in EXERCISES.values():
        assert exercise.name in printed and exercise.title in printed


def test_from_the_starter_to_a_right_answer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rewards_to_go") == 0
    file = here / "rewards_to_go.py"
    assert file.read_text().endswith("return ...\n") and "rewards_to_go.py" in capsys.readouterr().out
    assert run("rewards_to_go", str(file)) == 1
    assert "not begun yet" in capsys.readouterr().out
    file.write_text(WRONG)
    assert run("rewards_to_go", str(file)) == 1
    told = capsys.readouterr().out
    assert "immediate reward only" in told and "--hint" in told
    file.write_text(EXERCISES["rewards_to_go"].solutions["NumPy"])
    assert run("rewards_to_go", str(file)) == 0
    assert capsys.readouterr().out.startswith("✓ rewards_to_go: right")
    assert run("rewards_to_go") == 2
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == EXERCISES["rewards_to_go"].solutions["NumPy"]


def test_the_verdict_as_json_and_as_a_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.py").write_text(WRONG)
    assert run("rewards_to_go", "mine.py", "--seed", "7", "--json", "--picture", "mine.png") == 1
    printed = capsys.readouterr().out
    verdict = Verdict.from_json(printed)
    assert verdict.seed == json.loads(printed)["seed"] == 7 and verdict.mistake == "immediate reward only"
    with Image.open(here / "mine.png") as image:
        assert image.width > 200


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_and_solutions(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for number in ("1", "2", "3"):
        assert run(name, "--hint", number) == 0
        told.append(capsys.readouterr().out)
    assert run(name, "--hint") == 0
    assert capsys.readouterr().out == told[0]
    assert len(set(told)) == 3 and "--hint 2" in told[0] and "--solution" in told[2]
    assert run(name, "--solution") == 0
    printed = capsys.readouterr().out
    assert all(code.strip() in printed for code in EXERCISES[name].solutions.values())


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("reward_to_go",), "did you mean 'rewards_to_go'"),
        (("rewards_to_go", "--hint", "4"), "hints 1, 2 and 3"),
        (("rewards_to_go", "nowhere.py"), "cannot read 'nowhere.py'"),
        (("rewards_to_go", "nowhere.py", "--seed", "x"), "--seed"),
    ],
)
def test_it_says_what_is_wrong(argv: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("style", ["loops", "PyTorch"])
def test_the_command_in_a_process_of_its_own(here: Path, style: str) -> None:
    (here / "mine.py").write_text(EXERCISES["softmax_score"].solutions[style])
    command = [sys.executable, "-m", "pgrad", "exercise", "softmax_score", "mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONUTF8": "1"}, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ softmax_score: right")


def test_a_watched_file_is_checked_again(here: Path) -> None:
    file = here / "mine.py"
    file.write_text(WRONG)
    command = [sys.executable, "-m", "pgrad", "exercise", "rewards_to_go", "mine.py", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUTF8": "1"}) as process:
        assert process.stdout is not None
        try:
            assert any("immediate reward only" in line for line in iter(process.stdout.readline, ""))
            assert any("watching mine.py" in line for line in iter(process.stdout.readline, ""))
            file.write_text(EXERCISES["rewards_to_go"].solutions["loops"])
            assert any("✓ rewards_to_go" in line for line in iter(process.stdout.readline, ""))
        finally:
            process.kill()
