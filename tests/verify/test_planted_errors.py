"""One error at a time, planted in a copy of the package: verification has to fail, and to say where."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import pgrad


class Plant(NamedTuple):
    """An error, and what the summary has to name."""

    file: str
    right: str
    wrong: str
    named: tuple[str, ...]  # every one of these
    spared: tuple[str, ...] = ()  # and none of these
    sampled: bool = False  # whether it is in the code that trains alone, so that enumeration cannot see it


SOURCES = Path(pgrad.__file__).parent
RETURNS, WEIGHTS, BASELINES = "estimators/returns.py", "estimators/advantages.py", "estimators/baselines.py"
SOFTMAX, ROLLOUT = "kernels/softmax.py", "rollouts/compiled.py"
EVERY = ("total return: ", "reward-to-go: ", "reward-to-go, value: ", "GAE(λ=0.95): ")

PLANTS = {
    "γ left out of the return": Plant(
        RETURNS, "reward[b] + discount * after", "reward[b] + after", ("total return: ", "reward-to-go: ")
    ),
    "γ^t left out": Plant(
        WEIGHTS,
        "discount_power[b] = discount ** batch.time[b]",
        "discount_power[b] = 1.0",
        ("reward-to-go: ", "GAE(λ=0.95): "),
        ("total return: ", "γ^t dropped: "),
    ),
    "the next state's value subtracted in the TD error": Plant(
        RETURNS,
        "td_error = reward[b] + discount * next_value[n] - value[b]",
        "td_error = reward[b] - discount * next_value[n] - value[b]",
        ("GAE(λ=1): ", "GAE(λ=0.95): ", "GAE(λ=0): "),
        ("total return", "reward-to-go"),
    ),
    "the state's value added in the TD error, which leaves λ = 0 a baseline": Plant(
        RETURNS,
        "td_error = reward[b] + discount * next_value[n] - value[b]",
        "td_error = reward[b] + discount * next_value[n] + value[b]",
        ("GAE(λ=1): ", "GAE(λ=0.95): "),
        ("total return", "reward-to-go", "GAE(λ=0): "),
    ),
    "leave-one-out leaves none out": Plant(
        BASELINES,
        "(total - own * psi.mean[n]) / (weight - own)",
        "(total - 0 * own * psi.mean[n]) / (weight - 0 * own)",
        ("total return, leave-one-out: ", "reward-to-go, leave-one-out: "),
        ("total return: ", "reward-to-go: ", "GAE", "optimal"),
    ),
    "the optimal baseline sees its own trajectory": Plant(
        BASELINES,
        "if m != n:",
        "if m >= 0:",
        ("total return, optimal constant: ", "reward-to-go, optimal constant: "),
        ("total return: ", "reward-to-go: ", "GAE", "leave-one-out"),
    ),
    "time limits do not bootstrap": Plant(
        WEIGHTS,
        "bootstrap_value[batch.final_sample[c]] = final_value[c]",
        "bootstrap_value[batch.final_sample[c]] = 0.0",
        ("short corridor, tabular policy: reward-to-go, value: ", "GAE(λ=0.95): "),
        ("total return", "reward-to-go: ", "layered"),
    ),
    "no average over episodes": Plant(
        WEIGHTS, "return 1.0 / (num_trajectories if spec.per_episode else num_samples)", "return 1.0", EVERY
    ),
    "a sign in the exact gradient": Plant(
        "exact/solution.py",
        "weight = occupancy[..., None] * policy.probabilities * advantage",
        "weight = -occupancy[..., None] * policy.probabilities * advantage",
        EVERY,
    ),
    "the score without its mean, which an advantage of mean zero does not need": Plant(
        "exact/policies.py",
        "read_only(self.jacobian - mean[:, None, :])",
        "read_only(self.jacobian + 0 * mean[:, None, :])",
        ("total return: ", "reward-to-go: ", "reward-to-go, value: ", "GAE(λ=1): "),
        ("GAE(λ=0): ",),
    ),
    "the score's sign": Plant(
        SOFTMAX, "score = weight[n] * (", "score = -weight[n] * (", ("the sample differs",), ("not ∇J",), True
    ),
    "argmax instead of sampling": Plant(
        SOFTMAX,
        "action[n] += i4(threshold[n] >= total[n])",
        "action[n] = i4(k + 1) if logits[k + 1, n] == f4(1) else action[n]",
        ("the sample differs",),
        ("not ∇J",),
        True,
    ),
    "a time limit one step early": Plant(
        ROLLOUT,
        "lanes.steps[n] >= time_limit and",
        "lanes.steps[n] >= time_limit - 1 and",
        ("short corridor, tabular policy: reward-to-go: WRONG: the sample differs",),
        ("not ∇J", "layered"),
        True,
    ),
    "final observations of terminal states instead of cut ones": Plant(
        ROLLOUT,
        "        if truncated:\n",
        "        if not truncated:\n",
        ("short corridor, tabular policy: reward-to-go, value: WRONG: the sample differs",),
        ("not ∇J", "short corridor, tabular policy: reward-to-go: "),
        True,
    ),
}
ORDINARY = (
    "γ left out of the return",
    "leave-one-out leaves none out",
    "the score's sign",
    "argmax instead of sampling",
    "a time limit one step early",
)
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


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_the_code_has_one_place_for_the_error(plant: Plant) -> None:
    """So that an error whose code has moved on is missed here, not only by the slow tests."""
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


def test_the_command_notices(tmp_path: Path) -> None:
    plant = PLANTS["the optimal baseline sees its own trajectory"]
    done = python(planted(tmp_path, plant), "-m", "pgrad", "verify", "--brief", "--no-samples")
    require_noticed(done, plant, rows_only=False)


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
@pytest.mark.parametrize("name", SAMPLED)
def test_enumeration_alone_cannot_notice_an_error_in_the_code_that_trains(tmp_path: Path, name: str) -> None:
    done = python(planted(tmp_path, PLANTS[name]), "-c", FEW_ROWS)
    assert done.returncode == 0, done.stdout
