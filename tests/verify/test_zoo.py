"""The exact expectation of every mistake on a problem that is worked by hand."""

import dataclasses
import math

import numpy as np
import pytest

from pgrad import exact
from pgrad.verify.zoo import ARGMAX, DESCENT, TOTAL, TRUNCATION, ZOO, Form, Mistake, compositions, reward_to_go

# In state 0, action 0 ends the episode and pays 1; action 1 pays 2 and leads to state 1, where action 0 pays 3 and
# action 1 pays -1. With γ = ½ three episodes are possible: A of return 1, B of 2 + 3/2 and C of 2 - 1/2.
# π takes action 0 with probability 1/4 in state 0 and 3/4 in state 1, so that V(1) = 2 and V(0) = 1/4 + 3/4 · 3 = 5/2.
TRANSITION = np.zeros((3, 2, 3))
TRANSITION[0, 0, 2] = TRANSITION[0, 1, 1] = TRANSITION[1, :, 2] = 1
PROBLEM = exact.MDP(TRANSITION, [[1, 2], [3, -1], [0, 0]], [1, 0, 0], [0, 0, 1], 0.5)
POLICY = exact.Tabular(3, 2)([0, math.log(3), math.log(3), 0, 0, 0])

# The components of action 0 in states 0 and 1; those of action 1 are their negatives. With weights w_t of the steps,
#     3/16 · (w_0(A) - 3/4 · w_0(B) - 1/4 · w_0(C))    and    κ_1 · 3/4 · 3/16 · (w_1(B) - w_1(C)).
RIGHT = (-3 / 8, 9 / 32)
BY_HAND = {
    "mean of log-probabilities times total return": (-3 / 32, 9 / 64),
    "per-episode mean of the loss": (-3 / 32, 9 / 64),
    "per-episode centring": (-3 / 32, 9 / 128),
    "per-episode whitening": (-3 / 16, 0.0),
    "γ^t applied twice": (-3 / 8, 9 / 64),
    "γ^t dropped": (-3 / 8, 9 / 16),
    "return not discounted": (-9 / 16, 9 / 16),  # A 1, B (5, 3), C (1, -1)
    "immediate reward only": (-3 / 16, 9 / 32),
    "forward instead of backward cumulative sum": (-3 / 16, 9 / 32),
    TOTAL: RIGHT,
    ARGMAX: (-7 / 8, 3 / 8),
    "log-probability of another action": (13 / 8, -21 / 32),
    TRUNCATION: (-3 / 16, 0.0),
    DESCENT: (3 / 8, -9 / 32),
}
NAMED = {mistake.name: mistake for mistake in ZOO}
GREEDY = [[0, 1], [1, 0], [1, 0]]
CUT = dataclasses.replace(PROBLEM, time_limit=1)  # where A ends, and B and C are cut: V(1) = 2 goes unnoticed


def spread(components: tuple[float, float]) -> list[float]:
    first, second = components
    return [first, -first, second, -second, 0, 0]


@pytest.mark.parametrize("trajectories", [1, 2, 3])
@pytest.mark.parametrize("mistake", ZOO, ids=lambda mistake: mistake.name)
def test_the_mean_of_each_mistake_is_the_one_by_hand(mistake: Mistake, trajectories: int) -> None:
    problem = CUT if mistake.name == TRUNCATION else PROBLEM
    behaviour = GREEDY if mistake.name == ARGMAX else None
    mean = exact.moments(problem, POLICY, mistake.function, trajectories, behaviour).mean
    np.testing.assert_allclose(mean, spread(BY_HAND[mistake.name]), rtol=1e-13, atol=1e-15)


def test_what_is_right_by_hand() -> None:
    np.testing.assert_allclose(exact.solve(PROBLEM, POLICY).gradient, spread(RIGHT), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(exact.moments(PROBLEM, POLICY, Form(reward_to_go)).mean, spread(RIGHT), rtol=1e-13)
    np.testing.assert_allclose(
        exact.solve(PROBLEM, POLICY).gradient_cut(1), spread((-3 / 8, 0.0)), rtol=1e-13, atol=1e-15
    )
    assert exact.solve(PROBLEM, POLICY).value == pytest.approx([5 / 2, 2, 0], rel=1e-14)


def test_the_zoo_has_no_other_mistakes_and_each_says_why() -> None:
    assert [mistake.name for mistake in ZOO] == list(BY_HAND)
    assert [mistake.name for mistake in ZOO if mistake.unbiased] == [TOTAL]
    assert all(len(mistake.why) > 40 for mistake in ZOO)


OTHER_FORMS = {
    # Deviations with T - 1 under the variance: ±1/√2 instead of ±1.
    ("per-episode whitening", 1): (-3 / 16 / math.sqrt(2), 0.0),
    # γ^t G(τ), with G = 1, 7/2, 3/2: the second step gets γ · 3/4 · 3/16 · 2.
    ("γ^t applied twice", 1): (-3 / 8, 9 / 64),
    # The same under γ^t, and the sum of all rewards, 1, 5, 1, at every step.
    ("return not discounted", 1): (-9 / 16, 9 / 32),
    ("return not discounted", 2): (-9 / 16, 9 / 16),
    # Sums Σ γ^k r_k: A 1, B (2, 7/2), C (2, 3/2); undiscounted B (2, 5), C (2, 1).
    ("forward instead of backward cumulative sum", 1): (-3 / 16, 9 / 32),
    ("forward instead of backward cumulative sum", 2): (-3 / 16, 9 / 64),
    ("forward instead of backward cumulative sum", 3): (-3 / 16, 9 / 32),
    # The score of action 0 is (1 - π, π - 1) whatever was taken: 3/4 · E[G_0], and 1/2 · 3/4 · 1/4 · V(1).
    ("log-probability of another action", 1): (15 / 8, 3 / 16),
    # Action 1 is the most probable in state 0, and 0 in state 1: -1/4 · E[G_0], and as before.
    ("log-probability of another action", 2): (-5 / 8, 3 / 16),
    # A's one action stays: 1/4 · 3/4 · 1. B's first step gets action 0, C's 1: 9/16 · 3/4 · 7/2 - 3/16 · 1/4 · 3/2.
    ("log-probability of another action", 3): (3 / 16 + 189 / 128 - 9 / 128, 9 / 32),
}


def test_every_form_of_a_mistake_is_worked_by_hand() -> None:
    assert set(OTHER_FORMS) == {(mistake.name, k) for mistake in ZOO for k in range(1, len(mistake.forms))}


@pytest.mark.parametrize(("name", "k"), OTHER_FORMS, ids=str)
def test_the_other_ways_to_write_a_mistake(name: str, k: int) -> None:
    form = next(mistake for mistake in ZOO if mistake.name == name).forms[k]
    mean = exact.moments(PROBLEM, POLICY, form, 2).mean
    np.testing.assert_allclose(mean, spread(OTHER_FORMS[name, k]), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_immediate_rewards_are_the_forward_sum_on_average_but_not_on_a_sample(seed: int) -> None:
    problem = exact.layered(2, 3, seed, 0.8)
    policy = exact.Tabular(problem.num_states, 2)(np.random.default_rng(seed).normal(size=2 * problem.num_states))
    names = ("immediate reward only", "forward instead of backward cumulative sum")
    immediate, forward = (exact.moments(problem, policy, NAMED[name].function) for name in names)
    np.testing.assert_allclose(immediate.mean, forward.mean, rtol=1e-10, atol=1e-14)
    assert np.abs(immediate.covariance - forward.covariance).max() > 1e-3


def test_total_returns_only_add_variance() -> None:
    """Where rewards before a step are large. By hand, in state 1: E[G_0² s²] with G_0 = 7/2, 3/2 against ¼ G_1²."""
    total, to_go = (exact.moments(PROBLEM, POLICY, f) for f in (NAMED[TOTAL].function, Form(reward_to_go)))
    np.testing.assert_allclose(total.mean, to_go.mean, rtol=1e-13, atol=1e-15)
    squares = [9 / 16 * w_b**2 / 16 + 3 / 16 * w_c**2 * 9 / 16 for w_b, w_c in ((7 / 2, 3 / 2), (3 / 2, -1 / 2))]
    assert total.covariance[2, 2] == pytest.approx(squares[0] - (9 / 32) ** 2, rel=1e-12)
    assert to_go.covariance[2, 2] == pytest.approx(squares[1] - (9 / 32) ** 2, rel=1e-12)
    assert np.trace(total.covariance) > 1.5 * np.trace(to_go.covariance)


def test_compositions_are_distinct_and_named_by_what_they_do() -> None:
    composed = list(compositions())
    forms = [form for form, _ in composed]
    assert len(set(forms)) == len(forms)
    assert all((DESCENT in names) == (not form.ascends) for form, names in composed)
    assert Form(reward_to_go) not in forms
