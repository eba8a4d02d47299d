"""Identities: that they hold on cases of another seed, and that each of them fails where what it is about is wrong."""

import dataclasses
import importlib.util
from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.verify import identities
from pgrad.verify.cases import Case, cases
from pgrad.verify.identities import IDENTITIES, autograd, identity_checks

CASES = cases(seed=9)
FEW = CASES[3:15:5]  # with a time limit and without; tabular, linear and a network


def test_all_hold() -> None:
    checks = list(identity_checks(FEW))
    assert len(checks) == len(IDENTITIES) + 1
    assert [check for check in checks if not check.holds] == []
    assert not any(check.skipped for check in checks)
    assert all(0 <= check.measured < check.bound for check in checks)


def test_few_are_of_every_kind() -> None:
    assert {case.policy_name for case in FEW} == {"tabular", "linear", "network"}
    assert {case.problem.time_limit is None for case in FEW} == {True, False}


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_the_gradient_is_autograds(case: Case) -> None:
    assert autograd(case) < 1e-10


def test_without_pytorch_one_check_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    *others, last = identity_checks(CASES[:1])
    assert (last.skipped, last.holds) == ("PyTorch is not installed", True)
    assert not any(check.skipped for check in others)


class Crooked(exact.SoftmaxPolicy):
    """Scores without their mean subtracted."""

    @property
    def scores(self) -> Any:  # type: ignore[override]
        return self.jacobian


def crooked(case: Case) -> Case:
    """The same case, whose family gives crooked policies."""
    family = case.family

    class Wrong(type(family)):  # type: ignore[misc]
        def __call__(self, theta: Any) -> exact.SoftmaxPolicy:
            right = super().__call__(theta)
            return Crooked(right.logits, right.jacobian)

    return dataclasses.replace(case, family=Wrong(family.obs, family.hidden, family.num_actions, family.activation))


# Most of these read no scores. The natural gradient solves F w = ∇J whatever scores F is made of, as long as it can.
INDIFFERENT = {
    "score_rows",
    "finite_differences",
    "ratio_gradient",
    "performance_difference",
    "natural",
}


@pytest.mark.parametrize("name", [check.__name__ for _, check, _ in IDENTITIES])
def test_a_wrong_score_is_noticed_by_what_depends_on_it(name: str) -> None:
    check, bound = next((check, bound) for _, check, bound in IDENTITIES if check.__name__ == name)
    wrong = crooked(FEW[1])
    assert (check(wrong) > 1000 * bound) == (name not in INDIFFERENT)


@pytest.mark.parametrize("name", ["enumeration", "finite_differences", "ratio_gradient", "autograd", "natural"])
def test_a_wrong_gradient_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = getattr(identities, name)
    case = cases(seed=9)[8]
    right = case.solution.gradient
    monkeypatch.setitem(case.solution.__dict__, "gradient", right * (1 + 1e-4))
    assert check(case) > 5e-5
    monkeypatch.setitem(case.solution.__dict__, "gradient", np.roll(right, 1))
    assert check(case) > 1e-2
