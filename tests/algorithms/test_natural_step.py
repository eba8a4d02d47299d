"""Natural steps: their direction and length by linear algebra, the trust region, and what is refused."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.bare_samples import bare_batch

import pgrad
from pgrad import exact
from pgrad.algorithms.natural_step import NaturalStep, natural_step, surrogate_gain
from pgrad.estimators.fisher import mean_divergence
from pgrad.estimators.ratio import log_probs
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.spaces import Discrete

Array = npt.NDArray[Any]

SIZE, ACTIONS = 12, 3
STEP = NaturalStep(max_kl=1e-4, damping=1e-3, iterations=100, line_search=False)


def tabular(logits: Array) -> MLPPolicy:
    """Logits [S, A] of states that are observed as unit vectors, without a bias of their own to be learnt."""
    states = len(logits)
    parameters = np.concatenate([logits.T.ravel(), np.zeros(ACTIONS)]).astype(np.float32)
    return MLPPolicy(parameters, (states, ACTIONS), "tanh", actions=Discrete(ACTIONS))


def batch_of(states: int = 2) -> Batch:
    """Every action of every state, twice."""
    at = np.arange(SIZE)
    obs = np.eye(states, dtype=np.float32)[at % states].T.copy()
    return bare_batch(obs, (at // states % ACTIONS).astype(np.int32))


LOGITS = np.array([[0.5, 0.0, -1.0], [0.0, 1.0, 0.3]])
GRADIENT = np.random.default_rng(0).normal(size=9).astype(np.float32)


def fisher_of(logits: Array) -> Array:
    """By hand: 1/2 (diag π - π πᵀ) of each state at its weights and, through the unit vectors, at the shared bias."""
    matrix = np.zeros((9, 9))
    for s, row in enumerate(logits):
        pi = np.exp(row) / np.exp(row).sum()
        jacobian = np.zeros((ACTIONS, 9))
        for k in range(ACTIONS):
            jacobian[k, 2 * k + s] = jacobian[k, 6 + k] = 1.0
        matrix += jacobian.T @ (np.diag(pi) - np.outer(pi, pi)) @ jacobian / 2
    return matrix


def test_direction_and_length_are_those_of_linear_algebra() -> None:
    policy, batch, weight = tabular(LOGITS), batch_of(), np.zeros(SIZE)
    length, kl = natural_step(STEP, policy.compiled, batch, weight, GRADIENT)
    matrix = fisher_of(LOGITS) + STEP.damping * np.eye(9)
    direction = np.linalg.solve(matrix, GRADIENT)
    expected = np.sqrt(2 * STEP.max_kl / (direction @ matrix @ direction))
    assert length == pytest.approx(expected, rel=1e-3)
    moved = policy.parameters - tabular(LOGITS).parameters
    np.testing.assert_allclose(moved, expected * direction, rtol=0, atol=2e-3 * abs(moved).max())
    assert kl == pytest.approx(mean_divergence(tabular(LOGITS).parameters, policy.compiled, batch), rel=1e-6)


@pytest.mark.parametrize("max_kl", [1e-5, 1e-4])
def test_a_small_step_moves_the_policy_by_max_kl(max_kl: float) -> None:
    """Without damping to count, and along a gradient that is one: one of log-probabilities, so that F⁻¹ exists."""
    policy, batch = tabular(LOGITS), batch_of()
    gradient = (fisher_of(LOGITS) @ np.random.default_rng(3).normal(size=9)).astype(np.float32)
    step = STEP._replace(max_kl=max_kl, damping=1e-6)
    _, kl = natural_step(step, policy.compiled, batch, np.zeros(SIZE), gradient)
    assert kl == pytest.approx(max_kl, rel=0.03)


@pytest.mark.parametrize("max_kl", [0.01, 0.3, 1.0])
def test_the_trust_region_is_kept_exactly(max_kl: float) -> None:
    """Where the quadratic model overshoots, the line search shortens the step; without it the step goes too far."""
    batch = batch_of()
    weight = np.where(batch.action == 0, 1.0, -0.5)
    for line_search in (True, False):
        policy = tabular(LOGITS)
        step = NaturalStep(max_kl, 1e-6, 50, line_search)
        gradient = surrogate_direction(policy, batch, weight)
        length, kl = natural_step(step, policy.compiled, batch, weight, gradient)
        true = mean_divergence(tabular(LOGITS).parameters, policy.compiled, batch)
        if line_search:
            assert length > 0 and true <= max_kl
            assert surrogate_gain(policy.compiled, batch, weight, log_probs(tabular(LOGITS).compiled, batch)) >= 0
        else:
            assert true > max_kl
        assert kl == pytest.approx(true, rel=1e-5)


def surrogate_direction(policy: MLPPolicy, batch: Batch, weight: Array) -> Array:
    """The surrogate's own gradient, by central differences of Σ w ρ in float64."""
    start = policy.parameters.astype(np.float64)
    old = log_probs(policy.compiled, batch)

    def gain(parameters: Array) -> float:
        moved = dataclasses.replace(policy, parameters=parameters.astype(np.float32))
        return surrogate_gain(moved.compiled, batch, weight, old)

    shifts = 1e-2 * np.eye(start.size)
    return np.array([(gain(start + e) - gain(start - e)) / 2e-2 for e in shifts]).astype(np.float32)


def test_a_step_that_only_lowers_the_surrogate_is_refused_and_taken_back() -> None:
    policy, batch = tabular(LOGITS), batch_of()
    weight = np.where(batch.action == 0, 1.0, -0.5)
    downhill = -surrogate_direction(policy, batch, weight)
    before = policy.parameters.tobytes()
    assert natural_step(STEP._replace(line_search=True), policy.compiled, batch, weight, downhill) == (0.0, 0.0)
    assert policy.parameters.tobytes() == before
    length, _ = natural_step(STEP, policy.compiled, batch, weight, downhill)
    assert length > 0, "without the line search it is taken"


def test_a_gradient_of_zero_moves_nothing() -> None:
    """F and the damping have no say in it: there is no direction."""
    policy, batch = tabular(LOGITS), batch_of()
    before = policy.parameters.tobytes()
    assert natural_step(STEP, policy.compiled, batch, np.zeros(SIZE), np.zeros(9, np.float32))[0] == 0.0
    assert policy.parameters.tobytes() == before


def test_a_singular_fisher_matrix_without_damping_gives_a_finite_step() -> None:
    """The bias and the weights of all states are collinear, so F has no inverse; the gradient lies in its range."""
    policy, batch = tabular(LOGITS), batch_of()
    gradient = (fisher_of(LOGITS) @ np.random.default_rng(3).normal(size=9)).astype(np.float32)
    assert np.linalg.matrix_rank(fisher_of(LOGITS)) < 9
    _, kl = natural_step(STEP._replace(damping=0.0), policy.compiled, batch, np.zeros(SIZE), gradient)
    assert kl == pytest.approx(STEP.max_kl, rel=0.05)
    assert np.isfinite(policy.parameters).all()


@pytest.mark.parametrize("seed", range(3))
def test_its_direction_is_the_exact_natural_gradient(seed: int) -> None:
    """On a bandit, whose visits are those of the batch: F⁺ ∇J of pgrad.exact, in as many steps as F has ranks."""
    rng = np.random.default_rng(seed)
    problem, logits = exact.bandit(rng.normal(size=ACTIONS)), rng.normal(size=ACTIONS).astype(np.float32)
    solution = exact.solve(problem, exact.Tabular(2, ACTIONS)(np.stack([logits, np.zeros(ACTIONS)])))
    policy = MLPPolicy(np.concatenate([np.zeros(ACTIONS, np.float32), logits]), (1, ACTIONS), "tanh")
    batch = batch_of(1)
    batch = batch._replace(obs=np.zeros((1, SIZE), np.float32))
    gradient = np.concatenate([np.zeros(ACTIONS), solution.gradient[:ACTIONS]]).astype(np.float32)
    start = policy.parameters.copy()
    natural_step(STEP._replace(damping=0.0, iterations=2), policy.compiled, batch, np.zeros(SIZE), gradient)
    moved, expected = (policy.parameters - start)[ACTIONS:], solution.natural_gradient[:ACTIONS]
    np.testing.assert_allclose(moved / np.linalg.norm(moved), expected / np.linalg.norm(expected), atol=2e-3)


def test_a_run_reports_lengths_divergences_and_refusals() -> None:
    result = pgrad.train("CartPole-v1", algorithm="trpo", total_steps=3000, evaluation_episodes=0)
    metrics = result.seeds[0].history.metrics
    rate, kl = metrics[:, 5], metrics[:, 8]
    assert (kl <= 0.03).all() and (kl[rate > 0] > 0).all() and (kl[rate == 0] == 0).all()
    assert (rate > 0).any()
