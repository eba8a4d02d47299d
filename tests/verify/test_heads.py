"""Heads against finite differences: that all hold, and that each deviation shows where it belongs."""

import numpy as np
import pytest

from pgrad.policies.distributions import BETA, STATE_DEPENDENT
from pgrad.verify import formulas, heads
from pgrad.verify.heads import HEADS, Head, batch_of, deviation, distribution_checks, head_checks, policy_of

SEED = 3
NAMED = {head.name: head for head in HEADS}
GAUSSIAN = NAMED["Gaussian, σ of the state beyond its bounds"]


def test_all_hold() -> None:
    checks = [*head_checks(SEED), *distribution_checks(SEED)]
    assert len(checks) == 3 * len(HEADS)
    assert [check for check in checks if not check.holds] == []


@pytest.mark.parametrize("bounds", [(-9.0, 2.0), (-5.0, 5.0)])
def test_a_bound_of_log_std_that_is_another_shows_beyond_the_bounds(
    bounds: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formulas, "LOG_STD_BOUNDS", bounds)
    wrong = {check.name for check in (*head_checks(SEED), *distribution_checks(SEED)) if not check.holds}
    assert f"{GAUSSIAN.name}: ∇ log π" in wrong
    assert f"{GAUSSIAN.name}: log π and entropy in Python" in wrong
    assert not any("within" in name or "softmax" in name for name in wrong)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_slope_that_should_be_zero_and_one_that_should_not(head: Head) -> None:
    """A thousandth of the weights' norm on one parameter, where the gradient is zero too."""
    policy, weight = policy_of(head, SEED), np.random.default_rng(SEED).normal(size=heads.SAMPLES)
    right = formulas.policy_gradient(policy, batch_of(head, SEED), weight, 0.3)
    assert deviation(policy, weight, right, right) == 0
    for at in (0, policy.num_parameters - 1):
        wrong = right[0].copy()
        wrong[at] += 1e-2 * max(np.linalg.norm(weight), np.linalg.norm(right[0]))
        assert deviation(policy, weight, (wrong, right[1]), right) > heads.LEAST_STD
    assert deviation(policy, weight, (right[0], right[1] + 0.01 * max(1, abs(right[1]))), right) > heads.LEAST_STD
    assert np.isnan(deviation(policy, weight, (np.full_like(right[0], np.nan), right[1]), right))


def test_the_regimes_are_what_their_names_say() -> None:
    low, high = formulas.LOG_STD_BOUNDS
    for head in HEADS:
        if head.std != STATE_DEPENDENT or head.action_distribution == BETA:
            continue
        policy, batch = policy_of(head, SEED), batch_of(head, SEED)
        log_std = formulas.perceptron(policy, policy.parameters.astype(np.float64), batch.obs)[3:]
        inside = ((log_std > low) & (log_std < high)).mean(axis=1)
        if "within" in head.name:
            assert (inside == 1).all()
        elif "beyond" in head.name:
            assert (inside < 0.2).all()
        else:
            assert ((inside > 0.1) & (inside < 0.9))[:2].all()


def test_masked_actions_are_allowed_ones_and_some_are_not() -> None:
    for head in HEADS:
        batch = batch_of(head, SEED)
        if head.masked:
            assert 0.2 < batch.mask.mean() < 0.8
            counts = head.actions.counts  # type: ignore[union-attr]
            first = np.cumsum([0, *counts[:-1]])
            for k, action in zip(first, np.atleast_2d(batch.action), strict=True):
                assert batch.mask[k + action, np.arange(action.size)].all()
