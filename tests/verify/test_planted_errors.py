"""One error at a time, planted in a copy of the package: verification has to fail, and to say where."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

import pgrad


class Plant(NamedTuple):
    """An error of tests/mutants/planted.toml, and what the summary has to name if `pgrad verify` is to notice it."""

    name: str
    file: str
    right: str
    wrong: str
    named: tuple[str, ...] = ()  # every one of these
    spared: tuple[str, ...] = ()  # and none of these
    sampled: bool = False  # whether it is in the code that trains alone, so that enumeration cannot see it
    said: tuple[str, ...] = ()  # lines of the command's other tables


SOURCES = Path(pgrad.__file__).parent
PLANTED = (Path(__file__).parent.parent / "mutants" / "planted.toml").read_text(encoding="utf-8")
ALL = {entry["name"]: Plant(**entry) for entry in tomllib.loads(PLANTED)["error"]}
PLANTS = {name: plant for name, plant in ALL.items() if plant.named}
SAID = [name for name, plant in ALL.items() if plant.said]
ORDINARY = ("γ left out of the return", "the score's sign", "argmax instead of sampling")
SAMPLED = [name for name, plant in PLANTS.items() if plant.sampled]

# The rows of two problems, with a time limit and without. Few samples of two estimators will do: errors are large.
FEW_ROWS = """
import sys
import numpy as np
from pgrad.errors import PgradError
from pgrad.verify import cases, claims
from pgrad.verify.report import Report

samples = "samples" in sys.argv
if samples:
    claims.BATCHES = 1_000
    claims.CATALOGUE = [named for named in claims.CATALOGUE if named.name in ("reward-to-go", "reward-to-go, value")]
chosen = [cases.cases_of(problem, np.random.default_rng(0))[0] for problem in cases.problems()[1::3]]
rows = [row for case in chosen for row in claims.rows_of(case, 0, samples)]
report = Report(tuple(rows), (), (), (), 0.0)
print(report.summary)
sys.exit(not report.holds)
"""


def planted(folder: Path, plant: Plant | None) -> Path:
    """A copy of the package, with the error."""
    shutil.copytree(SOURCES, folder / "pgrad", ignore=shutil.ignore_patterns("__pycache__"))
    if plant is not None:
        file = folder / "pgrad" / plant.file
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(plant.right, plant.wrong), encoding="utf-8")
    return folder


def python(folder: Path, *words: str, compiled: bool = False) -> "subprocess.CompletedProcess[str]":
    """Python with the copy. Interpreted, the same code needs no compilation; NumPy then warns of a variance of zero."""
    switches = {"PYTHONPATH": str(folder), "PGRAD_CACHE_DIR": str(folder / "cache"), "PYTHONUTF8": "1"}
    switches["NUMBA_DISABLE_JIT"] = "0" if compiled else "1"
    return subprocess.run(
        [sys.executable, "-P", "-W", "ignore::RuntimeWarning", *words],
        env={**os.environ, **switches},
        capture_output=True,
        text=True,
        check=False,
    )


def require_noticed(done: "subprocess.CompletedProcess[str]", plant: Plant, rows_only: bool) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 1, done.stdout
    assert "FAILED" in done.stdout
    for name in plant.named:
        assert name in done.stdout, (name, done.stdout)
    for name in plant.spared if rows_only else ():
        assert name not in done.stdout, (name, done.stdout)


@pytest.mark.parametrize("plant", ALL.values(), ids=ALL)
def test_the_code_has_one_place_for_the_error(plant: Plant) -> None:
    """So that an error whose code has moved on is missed here, not only by `make mutants`."""
    assert (SOURCES / plant.file).read_text(encoding="utf-8").count(plant.right) == 1


def test_without_an_error_all_holds(tmp_path: Path) -> None:
    done = python(planted(tmp_path, None), "-c", FEW_ROWS, "samples")
    assert (done.returncode, done.stderr) == (0, "")
    assert "all hold" in done.stdout


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ORDINARY else pytest.mark.slow) for name in PLANTS]
)
def test_the_rows_of_two_problems_notice(tmp_path: Path, name: str) -> None:
    plant = PLANTS[name]
    samples = ["samples"] if plant.sampled else []
    require_noticed(python(planted(tmp_path, plant), "-c", FEW_ROWS, *samples), plant, rows_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PLANTS if name not in SAMPLED])
def test_the_command_notices_by_enumeration(tmp_path: Path, name: str) -> None:
    done = python(planted(tmp_path, PLANTS[name]), "-m", "pgrad", "verify", "--brief", "--no-samples")
    require_noticed(done, PLANTS[name], rows_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_the_command_notices_by_sampling_compiled_code(tmp_path: Path, name: str) -> None:
    folder = planted(tmp_path, PLANTS[name])
    done = python(folder, "-m", "pgrad", "verify", "--brief", compiled=True)
    require_noticed(done, PLANTS[name], rows_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAID)
def test_the_command_says_what_is_wrong_with_the_code_that_trains(tmp_path: Path, name: str) -> None:
    done = python(planted(tmp_path, ALL[name]), "-m", "pgrad", "verify", "--brief", compiled=True)
    assert done.returncode == 1, done.stdout + done.stderr
    for line in ALL[name].said:
        assert line in done.stdout, (line, done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_enumeration_alone_cannot_notice_an_error_in_the_code_that_trains(tmp_path: Path, name: str) -> None:
    done = python(planted(tmp_path, PLANTS[name]), "-c", FEW_ROWS)
    assert done.returncode == 0, done.stdout
