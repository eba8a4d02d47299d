"""Every mistake on a problem that is worked by hand: what it multiplies the scores by, and its exact expectation."""

import dataclasses
import math

import numpy as np
import pytest

from pgrad import exact
from pgrad.verify.parts import each, ones
from pgrad.verify.returns import total_return
from pgrad.verify.zoo import ARGMAX, DESCENT, DROPPED, SCORE_MISTAKES, TRUNCATION, ZOO, Form, Mistake

# In state 0, action 0 ends the episode and pays 1; action 1 pays 2 and leads to state 1, where action 0 pays 3 and
# action 1 pays -1. With γ = ½ three episodes are possible: A of return 1, B of 2 + 3/2 and C of 2 - 1/2.
# π takes action 0 with probability 1/4 in state 0 and 3/4 in state 1, so that V(1) = 2 and V(0) = 1/4 + 3/4 · 3 = 5/2.
TRANSITION = np.zeros((3, 2, 3))
TRANSITION[0, 0, 2] = TRANSITION[0, 1, 1] = TRANSITION[1, :, 2] = 1
PROBLEM = exact.MDP(TRANSITION, [[1, 2], [3, -1], [0, 0]], [1, 0, 0], [0, 0, 1], 0.5)
POLICY = exact.Tabular(3, 2)([0, math.log(3), math.log(3), 0, 0, 0])

# The components of action 0 in states 0 and 1; those of action 1 are their negatives. With weights w_t of the steps,
#     3/16 · (w_0(A) - 3/4 · w_0(B) - 1/4 · w_0(C))    and    3/4 · 3/16 · (w_1(B) - w_1(C)).
RIGHT = (-3 / 8, 9 / 32)
MEANS = {
    "mean of log-probabilities times total return": (-3 / 32, 9 / 64),
    "per-episode mean of the loss": (-3 / 32, 9 / 64),
    "per-episode centring": (-3 / 32, 9 / 128),
    "per-episode whitening": (-3 / 16, 0.0),
    "γ^t applied twice": (-3 / 8, 9 / 64),
    "γ^t dropped": (-3 / 8, 9 / 16),
    "immediate reward only": (-3 / 16, 9 / 32),
    "forward instead of backward cumulative sum": (-3 / 16, 9 / 32),
    ARGMAX: (-7 / 8, 3 / 8),
    "log-probability of another action": (13 / 8, -21 / 32),
    TRUNCATION: (-3 / 16, 0.0),
    DESCENT: (3 / 8, -9 / 32),
}
NAMED = {mistake.name: mistake for mistake in ZOO}
GREEDY = [[0, 1], [1, 0], [1, 0]]
CUT = dataclasses.replace(PROBLEM, time_limit=1)  # where A ends, and B and C are cut: V(1) = 2 goes unnoticed

# Three times the weights in the batch A, B, C, for each form: one step of A, two of B, two of C.
# G_t is 1; 7/2, 3; 3/2, -1, and G_t - V(s_t) is -3/2; 1, 1; -1, -3. The right weights are
G = (1, 7 / 2, 3 / 2, 3 / 2, -1 / 2)
E = math.exp
ROOT, ROOT_1 = math.sqrt(2.54), math.sqrt(3.175)  # deviations of the five G_t, with 5 and with 4 in the variance
ROOT_3, ROOT_2 = math.sqrt(7 / 6), math.sqrt(7 / 4)  # of the three G_0
WHITE = (-0.6, 1.9, 0.7, -0.1, -1.3)  # γ^t (G_t - 8/5)
FROM_TWO = (-1, 3 / 2, 3 / 2, -1 / 2, -1 / 2)  # G_0 - 2


def times(factor: float, row: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(factor * number for number in row)


WEIGHTS: dict[str, list[tuple[float, ...]]] = {
    "mean of log-probabilities times total return": [(1, 7 / 4, 7 / 4, 3 / 4, 3 / 4)],
    "returns times the mean of log-probabilities": [(1, 13 / 4, 13 / 4, 1 / 4, 1 / 4), (1, 5 / 2, 5 / 2, 1 / 2, 1 / 2)],
    "sum of returns times sum of log-probabilities": [(1, 13 / 2, 13 / 2, 1 / 2, 1 / 2), (1, 5, 5, 1, 1)],
    "mean return times mean of log-probabilities": [(2, 2, 2, 2, 2)],
    "per-episode centring": [(0, 1 / 4, -1 / 8, 5 / 4, -5 / 8), (0, -1 / 4, 1 / 4, 3 / 4, -3 / 4)],
    "per-episode whitening": [(0, 1, -1 / 2, 1, -1 / 2), times(math.sqrt(1 / 2), (0, 1, -1 / 2, 1, -1 / 2))],
    "returns divided by the episode's largest": [(1, 1, 3 / 7, 1, -1 / 3)],
    "return not discounted": [(1, 5, 3 / 2, 1, -1 / 2), (1, 5, 3, 1, -1), (1, 5, 5, 1, 1)],
    "γ² instead of γ in the return": [(1, 11 / 4, 3 / 2, 7 / 4, -1 / 2)],
    "immediate reward only": [(1, 2, 3 / 2, 2, -1 / 2)],
    "forward instead of backward cumulative sum": [
        (1, 2, 2, 2, 0),
        (1, 2, 7 / 4, 2, 3 / 4),
        (1, 2, 7 / 2, 2, 3 / 2),
        (1, 2, 5 / 2, 2, 1 / 2),
    ],
    "returns in reverse order": [(1, 3, 7 / 4, -1, 3 / 4)],
    "the step's own reward left out": [(0, 3 / 2, 0, -1 / 2, 0), (0, 3, 0, -1, 0)],
    "returns one step late": [(0, 0, 7 / 4, 0, 3 / 4)],
    "return over a window of rewards": [G] * 10,
    "last reward only": [(1, 3, 3 / 2, -1, -1 / 2), (1, 3, 3, -1, -1), (1, 3 / 2, 3 / 2, -1 / 2, -1 / 2)],
    "the return left out": [(1, 1, 1 / 2, 1, 1 / 2), (1, 1, 1, 1, 1)],
    "clipped returns": [(1, 1, 1 / 2, 1, -1 / 2), (1, 1, 1, 1, 1), (-1, 1, 1 / 2, -1, -1 / 2)],
    "negative returns left out": [(1, 7 / 2, 3 / 2, 3 / 2, 0), (1, 7 / 2, 7 / 2, 3 / 2, 3 / 2), (0, 1, 1 / 2, 0, 0)],
    "clipped rewards": [(1, 3 / 2, 1 / 2, 1 / 2, -1 / 2), (1, 3 / 2, 1 / 2, 1 / 2, -1 / 2), (1, 7 / 2, 3 / 2, 2, 0)],
    "squared returns": [
        (1, 49 / 4, 9 / 2, 9 / 4, 1 / 2),
        (1, 49 / 4, 49 / 4, 9 / 4, 9 / 4),
        (9 / 4, 1, 1 / 2, 1, 9 / 2),
    ],
    "absolute returns": [(1, 7 / 2, 3 / 2, 3 / 2, 1 / 2), (1, 7 / 2, 7 / 2, 3 / 2, 3 / 2), (3 / 2, 1, 1 / 2, 1, 3 / 2)],
    "sign of the return": [(1, 1, 1 / 2, 1, -1 / 2), (1, 1, 1, 1, 1), (-1, 1, 1 / 2, -1, -1 / 2)],
    "exponential of the return": [
        (E(1), E(3.5), E(3) / 2, E(1.5), E(-1) / 2),
        (E(1), E(3.5), E(3.5), E(1.5), E(1.5)),
        (E(-1.5), E(1), E(1) / 2, E(-1), E(-3) / 2),
    ],
    "returns of another episode": [
        (7 / 2, 3 / 2, -1 / 2, 1, 0),
        (3 / 2, 1, 0, 7 / 2, 3 / 2),
        (3 / 2, 7 / 2, 3 / 2, 1, 0),
        (7 / 2, 3 / 2, 3 / 2, 1, 1),
        (3 / 2, 1, 1, 7 / 2, 7 / 2),
        (3 / 2, 7 / 2, 7 / 2, 1, 1),
    ],
    "recursion leaks across episodes": [
        (1, 15 / 4, 7 / 4, 39 / 16, 7 / 16),
        (47 / 16, 31 / 8, 15 / 8, 3 / 2, -1 / 2),
    ],
    "own return in the baseline": [WHITE, (-1, 3 / 2, 1, -1 / 2, -1), (-1, 3 / 2, 1 / 2, -1 / 2, -3 / 2), FROM_TWO],
    "returns whitened over the batch": [
        times(1 / ROOT, WHITE),
        times(1 / ROOT_1, WHITE),
        times(1 / ROOT_3, FROM_TWO),
        times(1 / ROOT_2, FROM_TWO),
        times(1 / ROOT, G),
        times(1 / ROOT_1, G),
        times(2 / 7, G),
    ],
    "baseline of the next state": [(1, 3 / 2, 3 / 2, -1 / 2, -1 / 2)],
    "V(s_{t+1}) not discounted": [(-3 / 2, 3 / 2, 1 / 2, 3 / 2, -3 / 2)],
    "V instead of the return": [(5 / 2, 5 / 2, 1, 5 / 2, 1), (-5 / 2, -3 / 2, -1, -3 / 2, -1)],
    DROPPED: [(1, 7 / 2, 3, 3 / 2, -1)],
    "γ^t applied twice": [(1, 7 / 2, 3 / 4, 3 / 2, -1 / 4), (1, 7 / 2, 7 / 4, 3 / 2, 3 / 4)],
    "γ once too often": [times(1 / 2, G)],
    "γ^t counted from the end": [(1, 7 / 4, 3, 3 / 4, -1)],
    "per-episode mean of the loss": [(1, 7 / 4, 3 / 4, 3 / 4, -1 / 4)],
    "mean over all steps of the batch": [times(3 / 5, G)],
    "mean over padded steps": [times(1 / 2, G)],
    "summed over trajectories": [times(3, G)],
    "divided by N - 1 instead of N": [times(3 / 2, G)],
    "divided by N twice": [times(1 / 3, G)],
    "episodes weighted by their length": [
        (3 / 5, 21 / 5, 9 / 5, 9 / 5, -3 / 5),
        (1, 7, 3, 3, -1),
    ],
    "only the first trajectory": [(1, 0, 0, 0, 0), (3, 0, 0, 0, 0)],
    "only the last trajectory": [(0, 0, 0, 3 / 2, -1 / 2), (0, 0, 0, 9 / 2, -3 / 2)],
    "a trajectory left out": [
        *[(1, 7 / 2, 3 / 2, 0, 0)] * 3,
        *[(0, 7 / 2, 3 / 2, 3 / 2, -1 / 2)] * 3,
        times(3 / 2, (1, 7 / 2, 3 / 2, 0, 0)),
        times(3 / 2, (0, 7 / 2, 3 / 2, 3 / 2, -1 / 2)),
    ],
    "longest trajectory only": [(0, 21 / 2, 9 / 2, 0, 0), (0, 7 / 2, 3 / 2, 0, 0)],
    "first step only": [(1, 7 / 2, 0, 3 / 2, 0)],
    "last step only": [(1, 0, 3 / 2, 0, -1 / 2)],
    "last step left out": [(0, 7 / 2, 0, 3 / 2, 0)],
    "first step left out": [(0, 0, 3 / 2, 0, -1 / 2)],
    **{name: [G] * len(scores) for name, (_, scores) in SCORE_MISTAKES.items()},
    ARGMAX: [G],
    TRUNCATION: [(-3 / 2, 1, 1 / 2, -1, -3 / 2)],
    DESCENT: [times(-1, G)],
}

# The score's component of action 0 at the two steps of B: action 1 in state 0, then action 0 in state 1.
SCORES = {
    "log-probability of another action": [(3 / 4, -3 / 4), (3 / 4, 1 / 4), (-1 / 4, 1 / 4), (3 / 4, 1 / 4)],
    "gradient of π instead of log π": [(-3 / 16, 3 / 16)],
    "divided by π once more": [(-1 / 3, 1 / 3)],
    "gradient of the logit instead of log π": [(0, 1)],
}
FORMS = [(name, k) for name, rows in WEIGHTS.items() for k in range(len(rows))]


def abc() -> list[exact.Trajectory]:
    possible, _ = exact.enumerate_trajectories(PROBLEM, POLICY)
    return sorted(possible, key=lambda one: (len(one), -one.rewards[-1]))


def spread(components: tuple[float, float]) -> list[float]:
    first, second = components
    return [first, -first, second, -second, 0, 0]


def test_every_form_of_every_mistake_is_worked_by_hand_and_says_why() -> None:
    assert {mistake.name: len(mistake.forms) for mistake in ZOO} == {name: len(rows) for name, rows in WEIGHTS.items()}
    assert len(ZOO) == len(NAMED)
    assert all(len(mistake.why) > 40 for mistake in ZOO)


@pytest.mark.parametrize(("name", "k"), FORMS, ids=str)
def test_the_weights_are_those_by_hand(name: str, k: int) -> None:
    np.testing.assert_allclose(3 * NAMED[name].forms[k].weights(abc()), WEIGHTS[name][k], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, rows in SCORES.items() for k in range(len(rows))], ids=str)
def test_the_scores_are_those_by_hand(name: str, k: int) -> None:
    b = abc()[1]
    scores = NAMED[name].forms[k].scores(b)
    np.testing.assert_allclose(scores[[0, 1], [0, 2]], SCORES[name][k], rtol=1e-13, atol=1e-15)
    if "logit" not in name:
        np.testing.assert_allclose(scores[[0, 1], [1, 3]], -scores[[0, 1], [0, 2]], rtol=1e-13)


def test_an_estimate_is_the_sum_of_weights_times_scores() -> None:
    batch = abc()
    scores = np.concatenate([one.scores for one in batch])
    np.testing.assert_allclose(Form()(batch), np.array(G) @ scores / 3, rtol=1e-13)


@pytest.mark.parametrize("trajectories", [1, 2, 3])
@pytest.mark.parametrize("name", MEANS)
def test_the_mean_of_a_mistake_is_the_one_by_hand(name: str, trajectories: int) -> None:
    problem = CUT if name == TRUNCATION else PROBLEM
    mean = exact.moments(problem, POLICY, NAMED[name].function, trajectories, GREEDY if name == ARGMAX else None).mean
    np.testing.assert_allclose(mean, spread(MEANS[name]), rtol=1e-13, atol=1e-15)


def test_what_is_right_by_hand() -> None:
    np.testing.assert_allclose(exact.solve(PROBLEM, POLICY).gradient, spread(RIGHT), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(exact.moments(PROBLEM, POLICY, Form()).mean, spread(RIGHT), rtol=1e-13)
    np.testing.assert_allclose(
        exact.solve(PROBLEM, POLICY).gradient_cut(1), spread((-3 / 8, 0.0)), rtol=1e-13, atol=1e-15
    )
    assert exact.solve(PROBLEM, POLICY).value == pytest.approx([5 / 2, 2, 0], rel=1e-14)


@pytest.mark.parametrize("mistake", ZOO, ids=lambda mistake: mistake.name)
def test_every_mistake_is_biased_somewhere(mistake: Mistake) -> None:
    """On this problem, in batches of one to three; it has no window, and what returns leak into is as long."""
    if mistake.name in ("return over a window of rewards", ARGMAX):
        return
    problem = CUT if mistake.name == TRUNCATION else PROBLEM
    truth = spread((-3 / 8, 0.0)) if mistake.name == TRUNCATION else spread(RIGHT)
    means = [exact.moments(problem, POLICY, mistake.function, size).mean for size in (1, 2, 3)]
    assert max(np.abs(mean - truth).max() for mean in means) > 1e-3


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
    total, to_go = (exact.moments(PROBLEM, POLICY, f) for f in (Form(each(total_return), ones), Form()))
    np.testing.assert_allclose(total.mean, to_go.mean, rtol=1e-13, atol=1e-15)
    squares = [9 / 16 * w_b**2 / 16 + 3 / 16 * w_c**2 * 9 / 16 for w_b, w_c in ((7 / 2, 3 / 2), (3 / 2, -1 / 2))]
    assert total.covariance[2, 2] == pytest.approx(squares[0] - (9 / 32) ** 2, rel=1e-12)
    assert to_go.covariance[2, 2] == pytest.approx(squares[1] - (9 / 32) ** 2, rel=1e-12)
    assert np.trace(total.covariance) > 1.5 * np.trace(to_go.covariance)
