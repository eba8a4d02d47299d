"""The report, and the command that prints it."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from pgrad import verify
from pgrad.cli import main as cli
from pgrad.cli import verify as verify_command
from pgrad.errors import EstimatorError
from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.verify import report as report_module
from pgrad.verify.cases import cases
from pgrad.verify.check import Check
from pgrad.verify.claims import ClaimRow
from pgrad.verify.identities import IDENTITIES
from pgrad.verify.report import LEGEND, TRAINS, Group, Report, run
from pgrad.verify.zoo import ZOO
from pgrad.verify.zoo_report import ZooRow

REFUSED = 2
TRUTH = np.array([1.0, 0.0])
GOOD_ROW = ClaimRow("bandit", "reward-to-go", "", TRUTH, TRUTH, 1.0, 0.5, GRADIENT)
WRONG_ROW = dataclasses.replace(GOOD_ROW, expectation=2 * TRUTH)
GOOD_CHECK, WRONG_CHECK = Check("an identity", 1e-12, 1e-10), Check("an identity", math.nan, 1e-10)
GOOD_ZOO = ZooRow("a mistake", TRUTH, 2 * TRUTH, "a mistake")
GOOD = Report((GOOD_ROW,), (Group("identities", (GOOD_CHECK,)),), (GOOD_ZOO,), (), 1.0)


@pytest.fixture(scope="module")
def enumerated() -> tuple[Report, list[str]]:
    """The whole verification but for the samples, on another seed than the command's, and its progress."""
    told: list[str] = []
    return run(seed=1, samples=False, progress=told.append), told


def test_everything_holds(enumerated: tuple[Report, list[str]]) -> None:
    report, told = enumerated
    assert report.holds, report.summary
    assert report.summary.endswith(": all hold")
    assert {row.case for row in report.rows} == {case.name for case in cases(1)} <= set(told)
    assert all(row.z is None for row in report.rows)
    assert [seen.name for seen in report.zoo] == [mistake.name for mistake in ZOO]
    assert report.seconds > 0


def test_every_expectation_is_what_is_claimed(enumerated: tuple[Report, list[str]]) -> None:
    claimed = [row for row in enumerated[0].rows if row.claim is not None]
    assert len(claimed) > 150
    for row in claimed:
        error = np.linalg.norm(row.expectation - row.exact)
        assert error <= 1e-10 * np.linalg.norm(row.exact), (row.case, row.estimator)


def test_the_text_holds_every_estimator_identity_and_mistake(enumerated: tuple[Report, list[str]]) -> None:
    text = str(enumerated[0])
    for name in (*(named.name for named in CATALOGUE), *(name for name, *_ in IDENTITIES), *(m.name for m in ZOO)):
        assert text.count(f"  {name} ") >= 1, name
    for case in cases(1):
        assert f"\n{case.name}\n" in f"\n{text}"
    assert "FAIL" not in text
    assert "WRONG" not in text
    assert text.splitlines()[-1] == enumerated[0].summary
    assert max(map(len, text.splitlines())) <= 140


def test_the_command_prints_the_report(
    enumerated: tuple[Report, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[object] = []

    def fake(seed: int, samples: bool, progress: object) -> Report:
        given.append((seed, samples))
        return enumerated[0]

    monkeypatch.setattr(verify_command, "run", fake)
    assert cli.run(["verify", "--no-samples", "--seed", "1"]) == 0
    assert capsys.readouterr().out == f"{LEGEND}\n\n{enumerated[0]}\n"
    assert cli.run(["verify", "--brief"]) == 0
    assert capsys.readouterr().out == f"{enumerated[0].summary}\n"
    assert given == [(1, False), (0, True)]


@pytest.mark.slow
def test_the_command_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "--brief"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(": all hold\n")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_holds_sampled_on_other_seeds(seed: int) -> None:
    report = verify.run(seed)
    assert report.holds, report.summary
    assert all(row.z is not None and row.z <= 5.5 for row in report.rows if row.value != "off")


def test_a_report_in_which_all_is_well() -> None:
    assert GOOD.holds
    assert GOOD.summary == "1 expectations, 1 checks and 1 mistakes to recognise in 1 s: all hold"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rows": (GOOD_ROW, WRONG_ROW)}, "  bandit: reward-to-go: WRONG: not ∇J"),
        (
            {"rows": (dataclasses.replace(GOOD_ROW, z=9.0),)},
            "  bandit: reward-to-go: WRONG: the sample differs",
        ),
        ({"groups": (Group("identities", (WRONG_CHECK, GOOD_CHECK)),)}, "  an identity: nan"),
        ({"zoo": (GOOD_ZOO._replace(diagnosis="right"),)}, "  a mistake: WRONG: named 'right'"),
        ({"zoo": (GOOD_ZOO._replace(expectation=TRUTH),)}, "  a mistake: WRONG: its bias is not as stated"),
    ],
)
def test_one_failure_fails_the_report_and_is_named(
    changes: dict[str, object],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]
    assert not wrong.holds
    assert wrong.summary.splitlines()[0].endswith(": 1 FAILED")
    assert wrong.summary.splitlines()[1:] == [line]
    assert str(wrong).endswith(wrong.summary)
    monkeypatch.setattr(verify_command, "run", lambda *_: wrong)
    assert cli.run(["verify", "--brief"]) == 1
    assert line in capsys.readouterr().out


def test_an_estimate_that_is_not_finite_is_a_failure_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "cases", lambda seed: cases(seed)[:1])
    monkeypatch.setattr(report_module, "zoo_rows", lambda seed: [GOOD_ZOO])

    def failing(*_: object) -> None:
        raise EstimatorError("the estimator must return finite numbers, not [nan]")

    monkeypatch.setattr(report_module, "rows_of", failing)
    report = run(samples=False)
    assert report.failures == ("bandit, tabular policy: the estimator must return finite numbers, not [nan]",)
    assert not report.holds
    assert ": 1 FAILED" in report.summary
    assert report.failures[0] in str(report)


def test_code_that_raises_is_a_failure_of_its_group_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(seed: int) -> Iterator[Check]:
        yield GOOD_CHECK._replace(name=f"of seed {seed}")
        raise IndexError("out of bounds")

    monkeypatch.setattr(report_module, "cases", lambda seed: [])
    monkeypatch.setattr(report_module, "identity_checks", lambda cases: [])
    monkeypatch.setattr(report_module, "zoo_rows", lambda seed: [GOOD_ZOO])
    monkeypatch.setattr(report_module, "limit_checks", lambda cases, seed: [])
    monkeypatch.setattr(report_module, "fixed_step_checks", lambda cases, seed: [])
    monkeypatch.setattr(report_module, "TRAINS", (("first", half), ("second", lambda seed: [GOOD_CHECK])))
    report = run(seed=4)
    assert [(group.title, len(group.checks)) for group in report.groups[2:]] == [("first", 1), ("second", 1)]
    assert report.groups[2].checks[0].name == "of seed 4"
    assert report.summary.splitlines()[1:] == ["  first: IndexError: out of bounds"]


def test_the_code_that_trains_is_checked_only_with_samples(enumerated: tuple[Report, list[str]]) -> None:
    titles = {group.title for group in enumerated[0].groups}
    assert len(TRAINS) == 7
    assert not titles & {title for title, _ in TRAINS}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "x"], "--seed"),
        (["--seed", "-1"], "--seed"),
        (["--samples"], "--no-samples"),
        (["--quit"], "--quiet"),
        (["everything"], "everything"),
    ],
)
def test_what_the_command_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", *words]) == REFUSED
    out, err = capsys.readouterr()
    assert not out
    assert message in err
    assert len(err.splitlines()) == 1
    assert err.startswith("pgrad: ")


def test_the_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.run(["verify", "--help"])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 0
    out = capsys.readouterr().out
    assert all(flag in out for flag in ("--seed", "--no-samples", "--brief", "--quiet"))
