"""The short form of `make mutants`: the harness still tells an error that tests notice from one that they do not."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ERRORS = (  # planted ones, in functions and in what runs on import, and mechanical ones
    "estimators/returns.py: λ without γ",
    "estimators/returns.py: reward-to-go without the action's own reward",
    "kernels/optimizers.py: no correction of the first moment's bias",
    "kernels/optimizers.py: momentum without its share",
    "kernels/optimizers.py : BETA_1",
    "kernels/optimizers.py global_norm",
    "estimators/returns.py total_returns",
)
TESTS = ("tests/estimators/test_baselines.py", "tests/estimators/test_returns.py", "tests/kernels/test_optimizers.py")


def test_what_is_explained_is_an_error_that_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an explanation does not outlive its code."""
    monkeypatch.syspath_prepend(HERE)
    edits: Any = importlib.import_module("edits")
    reasons = tomllib.loads((HERE / "explained.toml").read_text(encoding="utf-8"))["reason"]
    names = [name for reason in reasons for name in reason["errors"]]
    assert len(names) == len(set(names))
    assert set(names) <= {edit.name for edit in edits.every_mechanical()}


def mutants(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(HERE), "--jobs", "1", "--folder", str(folder), *words]
    return subprocess.run(command, cwd=HERE.parent.parent, capture_output=True, text=True, check=False)


def test_errors_are_noticed(tmp_path: Path) -> None:
    done = mutants(tmp_path, "--only", *ERRORS, "--tests", *TESTS)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "19 of 19 noticed" in done.stdout


def test_an_error_that_no_test_notices_fails(tmp_path: Path) -> None:
    done = mutants(tmp_path, "--only", *ERRORS[:1], "--tests", "tests/kernels/test_optimizers.py")
    assert done.returncode == 1
    assert f"survived (no test calls it interpreted): {ERRORS[0]}" in done.stdout
