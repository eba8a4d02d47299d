"""Every estimator against its claim: by enumeration on every case, and through the compiled code that trains."""

import math

import numpy as np
import pytest

from pgrad import exact
from pgrad.estimators.catalogue import CATALOGUE, DROPPED, GRADIENT, SHRUNK
from pgrad.estimators.spec import EstimatorSpec
from pgrad.verify.as_estimator import as_function
from pgrad.verify.cases import OBS_SIZE, Case, cases
from pgrad.verify.check import MAX_Z, TOLERANCE, Check
from pgrad.verify.claims import (
    TRAJECTORIES,
    ClaimRow,
    bias_checks,
    fixed_step_checks,
    fixed_step_gradient,
    limit_checks,
    row,
    rows_of,
    target,
)
from pgrad.verify.sampling import largest_z, sampled

CASES = cases(seed=3)
BY_NAME = {case.name: case for case in CASES}
NAMED = {named.name: named for named in CATALOGUE}
ORDINARY = ("short corridor, tabular policy", "garnet 1, linear policy", "layered 2, network policy")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ORDINARY else pytest.mark.slow) for name in BY_NAME]
)
def test_every_row_of_a_case_holds_sampled_too(name: str) -> None:
    rows = list(rows_of(BY_NAME[name], seed=3, samples=True))
    assert [row.estimator for row in rows if row.value != "off"] == list(NAMED)
    assert [f"{row.estimator}: {row.verdict}" for row in rows if not row.holds] == []
    for one in rows:
        assert (one.z is None) == (one.value == "off")
        assert one.z is None or one.z <= 5.5
        if one.claim is not None:
            np.testing.assert_allclose(one.expectation, one.exact, rtol=0, atol=1e-10 * np.linalg.norm(one.exact))


@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.name)
def test_what_is_unbiased_has_the_gradient_for_its_mean(case: Case) -> None:
    """The gradient from values of J alone; where a limit cuts what is recorded, from the sum over trajectories."""
    gradient = exact.finite_difference_gradient(case.problem, case.family, case.theta)
    for named in CATALOGUE:
        if named.mean in (GRADIENT, SHRUNK) and not (named.needs_value and case.problem.time_limit):
            one = row(case, named, None, 0, samples=False)
            factor = 0.5 if named.mean == SHRUNK else 1.0
            np.testing.assert_allclose(one.expectation, factor * gradient, rtol=0, atol=1e-8 * np.linalg.norm(gradient))


def test_with_values_a_time_limit_only_cuts_what_is_recorded() -> None:
    """Σ_{t < H} γ^t E[Q(s_t, a_t) score_t], with Q of the problem without a limit: by enumeration."""
    case = BY_NAME["garnet 1, tabular policy"]
    endless = exact.garnet(4, 2, 2, seed=1, discount=0.8)
    action_value = exact.solve(endless, case.policy).action_value
    kept, dropped = np.zeros(case.theta.size), np.zeros(case.theta.size)
    for one, probability in zip(*exact.enumerate_trajectories(case.problem, case.policy), strict=True):
        weight = action_value[one.states, one.actions]
        kept += probability * (0.8 ** np.arange(len(one)) * weight) @ one.scores
        dropped += probability * weight @ one.scores
    np.testing.assert_allclose(target(case, NAMED["GAE(λ=0)"], GRADIENT), kept, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        target(case, NAMED["GAE(λ=0.95), γ^t dropped"], DROPPED), dropped, rtol=1e-10, atol=1e-13
    )
    assert np.abs(kept - case.solution.gradient).max() > 1e-3


def test_shrunk_is_by_the_number_of_trajectories() -> None:
    case, named = CASES[-1], NAMED["total return, mean"]
    assert TRAJECTORIES == 2
    np.testing.assert_allclose(target(case, named, SHRUNK), case.solution.gradient / 2, rtol=1e-15)
    mean = exact.moments(case.problem, case.policy, as_function(named.spec), 3).mean
    np.testing.assert_allclose(mean, case.solution.gradient * 2 / 3, rtol=1e-9, atol=1e-12)


def made(bias: float = 0.0, claim: str | None = GRADIENT, z: float | None = None) -> ClaimRow:
    truth = np.array([3.0, 4.0])
    return ClaimRow("case", "reward-to-go, mean", "", truth, truth + [5 * bias, 0], 1.0, z, claim)


@pytest.mark.parametrize(
    ("one", "holds", "verdict"),
    [
        (made(), True, "unbiased"),
        (made(claim=DROPPED), True, f"= {DROPPED}"),
        (made(claim=None), True, "no bias here"),
        (made(0.1, None), True, "biased, as stated"),
        (made(0.5e-10), True, "unbiased"),
        (made(2e-10), False, "WRONG: not ∇J"),
        (made(math.nan), False, "WRONG: not ∇J"),
        (made(z=5.5), True, "unbiased"),
        (made(z=5.6), False, "WRONG: the sample differs"),
        (made(z=math.nan), False, "WRONG: the sample differs"),
        (made(0.1, None, 6.0), False, "WRONG: the sample differs"),
    ],
)
def test_what_a_row_says(one: ClaimRow, holds: bool, verdict: str) -> None:
    assert (one.holds, one.verdict) == (holds, verdict)


def test_the_bias_of_a_row_is_relative() -> None:
    assert (TOLERANCE, MAX_Z) == (1e-10, 5.5)
    assert made(0.3).bias == pytest.approx(0.3)


def test_a_stated_bias_has_to_show_somewhere() -> None:
    (check,) = bias_checks([made(0.0, None), made(1e-4, None)])
    assert (check.name, check.holds) == ("reward-to-go, mean: its bias shows", False)
    (check,) = bias_checks([made(0.0, None), made(1e-2, None)])
    assert check.holds


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        (Check("", 1.0, 1.0), True),
        (Check("", 1.1, 1.0), False),
        (Check("", math.nan, 1.0), False),
        (Check("", math.nan, 1.0, at_least=True), False),
        (Check("", 0.9, 1.0, at_least=True), False),
        (Check("", 1.0, 1.0, at_least=True), True),
        (Check("", math.nan, 1.0, skipped="no PyTorch"), True),
    ],
)
def test_when_a_check_holds(check: Check, holds: bool) -> None:
    assert check.holds is holds


def test_z_is_in_standard_errors() -> None:
    rng = np.random.default_rng(0)
    estimates = rng.normal([1.0, -2.0], [1.0, 3.0], size=(10_000, 2))
    assert largest_z(estimates, np.array([1.0, -2.0])) < 4
    assert largest_z(estimates, np.array([1.0, -2.0 + 0.3])) == pytest.approx(10, abs=4)
    assert largest_z(estimates, np.array([1.0 + 0.1, -2.0])) == pytest.approx(10, abs=4)
    assert math.isnan(largest_z(np.full((10, 1), np.nan), np.zeros(1)))


def test_the_spread_of_what_is_sampled_is_the_exact_one() -> None:
    case, named = CASES[-1], NAMED["reward-to-go, leave-one-out"]
    exactly = row(case, named, None, 0, samples=False).standard_deviation
    estimates = sampled(case, named.spec, 10_000, seed=1, episodes=TRAJECTORIES)
    assert math.sqrt(estimates.var(axis=0).sum()) == pytest.approx(exactly, rel=0.05)
    again = sampled(case, named.spec, 10, seed=1, episodes=TRAJECTORIES)
    np.testing.assert_array_equal(again, estimates[:10])
    assert not (sampled(case, named.spec, 10, seed=2, episodes=TRAJECTORIES) == again).all()


def test_the_case_in_float32_is_the_case() -> None:
    for case in CASES:
        assert case.obs.shape[1] == OBS_SIZE
        acting = np.flatnonzero(~case.problem.terminal)
        found = case.compiled_policy.probabilities(case.obs[acting])
        np.testing.assert_allclose(found, case.policy.probabilities[acting], rtol=1e-5)
        values = case.compiled_value.value(case.obs[acting])
        np.testing.assert_allclose(values, case.values[acting], rtol=1e-4, atol=1e-5 * np.abs(case.values).max())
        assert (case.theta == case.theta.astype(np.float32)).all()


def test_the_gradient_of_a_fixed_number_of_steps_by_hand() -> None:
    """A bandit of any number of steps is a bandit: every step begins an episode."""
    case = BY_NAME["bandit, tabular policy"]
    np.testing.assert_allclose(fixed_step_gradient(case, 7), case.solution.gradient, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        fixed_step_gradient(BY_NAME["layered 2, network policy"], 1),
        BY_NAME["layered 2, network policy"].solution.gradient_cut(1),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.slow
def test_large_batches_and_fixed_numbers_of_steps() -> None:
    networks = [case for case in CASES if case.policy_name == "network"]
    checks = [*limit_checks(networks, seed=3), *fixed_step_checks(CASES, seed=3)]
    assert len(checks) == 5 + 3
    assert [check for check in checks if not check.holds] == []


def test_an_estimate_that_is_not_its_claim_makes_a_row_that_does_not_hold() -> None:
    """The package's own specs with another's name."""
    case = CASES[-1]
    for spec in (EstimatorSpec(exact_discounting=False), EstimatorSpec(per_episode=False)):
        one = row(case, NAMED["reward-to-go"]._replace(spec=spec), None, 0, samples=False)
        assert (one.holds, one.verdict) == (False, "WRONG: not ∇J")
