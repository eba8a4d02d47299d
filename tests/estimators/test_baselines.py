"""Baselines, standardisation, generalised advantages: tables, identities, plain loops, enumeration."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.algorithms.iteration import advantages as estimated_advantages
from pgrad.algorithms.learner import Settings
from pgrad.estimators.baselines import (
    leave_one_out_baseline,
    mean_baseline,
    optimal_baseline,
    standardization,
    summarise,
)
from pgrad.estimators.gradient import by_trajectory, overlaps, policy_gradient, trajectory_gradients
from pgrad.estimators.returns import generalized_advantages, rewards_to_go
from pgrad.estimators.spec import CONSTANT, OPTIMAL, REWARD_TO_GO, TOTAL_RETURN, EstimatorSpec
from pgrad.kernels.heads import NO_MASK, CategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import SGD
from pgrad.kernels.reductions import mean, variance
from pgrad.rollouts.batch import Batch

Array = npt.NDArray[Any]

N = 4


def interleaved(size: int = 70, cuts: float = 0.15) -> tuple[Array, Array, Array, Array, Array]:
    """reward, value, cut, env, tail of N trajectories in random order; every trajectory's last sample is cut."""
    rng = np.random.default_rng(0)
    env = np.concatenate([np.arange(N), rng.integers(0, N, size - N)]).astype(np.int32)
    cut = rng.random(size) < cuts
    for n in range(N):
        cut[np.flatnonzero(env == n)[-1]] = True
    tail = np.where(cut & (rng.random(size) < 0.7), rng.normal(size=size), 0.0)
    return rng.normal(size=size), rng.normal(size=size), cut, env, tail


def advantages(batch: tuple[Array, ...], discount: float, gae_lambda: float) -> Array:
    result: Array = generalized_advantages(*batch, discount, gae_lambda, N)
    return result


def test_a_terminal_episode_by_hand() -> None:
    """γ = ½, λ = ½; V = 4, 2. δ₁ = 3 + 0 - 2 = 1; δ₀ = 1 + ½·2 - 4 = -2; Â₀ = -2 + ¼·1."""
    reward, value = np.array([1.0, 3.0]), np.array([4.0, 2.0])
    cut, env = np.array([False, True]), np.zeros(2, np.int32)
    assert generalized_advantages(reward, value, cut, env, np.zeros(2), 0.5, 0.5, 1).tolist() == [-1.75, 1.0]


def test_a_truncated_episode_by_hand() -> None:
    """As above with V = 8 beyond the time limit: δ₁ = 3 + ½·8 - 2 = 5 and Â₀ = -2 + ¼·5."""
    reward, value, tail = np.array([1.0, 3.0]), np.array([4.0, 2.0]), np.array([0.0, 8.0])
    cut, env = np.array([False, True]), np.zeros(2, np.int32)
    assert generalized_advantages(reward, value, cut, env, tail, 0.5, 0.5, 1).tolist() == [-0.75, 5.0]


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 0.95, 1.0])
def test_equation_16_by_a_loop_over_trajectories(discount: float, gae_lambda: float) -> None:
    reward, value, cut, env, tail = batch = interleaved()
    expected = np.full(reward.size, np.nan)
    for n in range(N):
        own = np.flatnonzero(env == n)
        deltas: dict[int, float] = {}
        for i, b in enumerate(own):
            following = tail[b] if cut[b] else value[own[i + 1]]
            deltas[b] = reward[b] + discount * following - value[b]
        for i, b in enumerate(own):
            expected[b], weight = 0.0, 1.0
            for later in own[i:]:
                expected[b] += weight * deltas[later]
                weight *= discount * gae_lambda
                if cut[later]:
                    break
    np.testing.assert_allclose(advantages(batch, discount, gae_lambda), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_lambda_one_is_the_return_less_the_value(discount: float) -> None:
    reward, value, cut, env, tail = batch = interleaved()
    expected = rewards_to_go(reward, cut, env, tail, discount, N) - value
    np.testing.assert_allclose(advantages(batch, discount, 1.0), expected, rtol=1e-11, atol=1e-13)


def test_lambda_zero_is_the_td_error() -> None:
    """In a batch that is one trajectory and one episode, where V(s_{t+1}) is simply the next number."""
    reward, value, _, _, tail = interleaved()
    cut = np.arange(reward.size) == reward.size - 1
    result = generalized_advantages(reward, value, cut, np.zeros(reward.size, np.int32), tail, 0.9, 0.0, 1)
    np.testing.assert_allclose(result, reward + 0.9 * np.append(value[1:], tail[-1]) - value, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_the_true_value_of_a_deterministic_problem_has_no_advantages(gae_lambda: float) -> None:
    reward, _, cut, env, tail = interleaved()
    value = rewards_to_go(reward, cut, env, tail, 0.9, N)
    np.testing.assert_allclose(advantages((reward, value, cut, env, tail), 0.9, gae_lambda), 0, atol=1e-13)


def test_interleaving_changes_nothing() -> None:
    batch = interleaved()
    together = advantages(batch, 0.97, 0.9)
    for n in range(N):
        own = batch[3] == n
        reward, value, cut, env, tail = (array[own] for array in batch)
        alone = generalized_advantages(reward, value, cut, np.zeros_like(env), tail, 0.97, 0.9, 1)
        assert alone.tolist() == together[own].tolist()


PSI = np.array([1.0, 10.0, 3.0, 20.0, 5.0, 100.0])
ENV = np.array([0, 1, 0, 1, 0, 2], np.int32)
PER_TRAJECTORY = np.array([7.0, 9.0, 7.0, 9.0, 7.0, 11.0])


@pytest.mark.parametrize(
    ("baseline", "psi", "per_trajectory", "expected"),
    [
        (mean_baseline, PSI, False, [139 / 6] * 3),
        (mean_baseline, PER_TRAJECTORY, True, [9.0] * 3),
        (leave_one_out_baseline, PSI, False, [130 / 3, 109 / 4, 39 / 5]),
        (leave_one_out_baseline, PER_TRAJECTORY, True, [10.0, 9.0, 8.0]),
    ],
)
def test_baselines_by_hand(baseline: Any, psi: Array, per_trajectory: bool, expected: list[float]) -> None:
    np.testing.assert_allclose(baseline(summarise(psi, ENV, 3), per_trajectory), expected, rtol=1e-14)


def test_a_summary_by_hand() -> None:
    result = summarise(PSI, ENV, 4)
    assert [array.tolist() for array in result] == [[3, 2, 1, 0], [3, 15, 100, 0], [8, 50, 0, 0]]


def test_the_mean_baseline_centres_the_batch() -> None:
    psi, _, _, env, _ = interleaved()
    assert abs(np.mean(psi - mean_baseline(summarise(psi, env, N), False)[env])) < 1e-15


@pytest.mark.parametrize("per_trajectory", [False, True])
def test_leave_one_out_of_equal_returns_leaves_nothing(per_trajectory: bool) -> None:
    psi = np.full(ENV.size, 0.1)
    np.testing.assert_allclose(psi - leave_one_out_baseline(summarise(psi, ENV, 3), per_trajectory)[ENV], 0, atol=1e-16)


def test_leave_one_out_does_not_depend_on_ones_own_returns() -> None:
    changed = np.where(ENV == 1, -555.0, PSI)
    before, after = (leave_one_out_baseline(summarise(psi, ENV, 3), False) for psi in (PSI, changed))
    assert after[1] == pytest.approx(before[1], rel=1e-12)
    assert (np.abs(after - before)[[0, 2]] > 1).all()


def test_leave_one_out_is_the_mean_baseline_scaled() -> None:
    """G_n - mean of the others = N / (N - 1) · (G_n - mean of all)."""
    one_out = PER_TRAJECTORY - leave_one_out_baseline(summarise(PER_TRAJECTORY, ENV, 3), True)[ENV]
    all_in = PER_TRAJECTORY - mean_baseline(summarise(PER_TRAJECTORY, ENV, 3), True)[ENV]
    np.testing.assert_allclose(one_out, 3 / 2 * all_in, rtol=1e-13)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ([[2, 6, 12], [1, 2, 4]], [18 / 6, 14 / 5, 8 / 3]),
        ([[2, 6], [1, 4]], [6 / 4, 2 / 1]),
        ([[-2, 6, 0], [1, 0, 0]], [0, -2, 4]),
        ([[0, 0, 0], [0, 0, 0]], [0, 0, 0]),
        ([[3], [2]], [0]),
        ([[1e-30, 1e-30, 3e-30], [1e-30, 1e-30, 1e-30]], [2, 2, 1]),
    ],
)
def test_the_optimal_baseline_by_hand(overlap: list[list[float]], expected: list[float]) -> None:
    """Σ g · u / Σ ‖u‖² over the others; 0 where none of them has a score."""
    np.testing.assert_allclose(optimal_baseline(np.array(overlap, dtype=float)), expected, rtol=1e-14)


def test_the_optimal_baseline_does_not_depend_on_ones_own_scores() -> None:
    overlap = np.random.default_rng(0).uniform(1, 2, size=(2, 4))
    changed = overlap.copy()
    changed[:, 2] = [-55, 7]
    before, after = optimal_baseline(overlap), optimal_baseline(changed)
    assert after[2] == before[2]
    assert (np.abs(after - before)[[0, 1, 3]] > 1).all()


def standardized(x: Any) -> Array:
    psi = np.array(x, dtype=float)
    env = np.arange(psi.size, dtype=np.int32) % 2  # over the batch, however it is made of trajectories
    count = min(2, psi.size)
    centre, scale = standardization(summarise(psi, env, count), np.zeros(count), False)
    assert len(set(centre.tolist())) == len(set(scale.tolist())) == 1 or np.isnan(psi).any()
    result: Array = (psi - centre[0]) * scale[0]
    return result


def test_standardize_by_hand() -> None:
    assert standardized([1, 3]).tolist() == [-1, 1]
    np.testing.assert_allclose(standardized([0, 0, 3, 3, 4, 2]), (np.array([0, 0, 3, 3, 4, 2]) - 2) / np.sqrt(7 / 3))


def test_each_group_is_standardised_by_itself() -> None:
    """(1, 3, 5), (10, 20), and one sample that has no deviation."""
    centre, scale = standardization(summarise(PSI, ENV, 3), np.zeros(3), True)
    np.testing.assert_allclose(centre, [3, 15, 100], rtol=1e-14)
    np.testing.assert_allclose(scale, [math.sqrt(3 / 8), 1 / 5, 0], rtol=1e-14)


def test_nan_in_one_group_stays_there() -> None:
    centre, scale = standardization(summarise(np.where(ENV == 1, np.nan, PSI), ENV, 3), np.zeros(3), True)
    assert np.isnan(centre).tolist() == np.isnan(scale).tolist() == [False, True, False]


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
@pytest.mark.parametrize("offset", [0.0, 1.0, -1e6])
def test_standardized_has_mean_zero_and_deviation_one(offset: float, scale: float) -> None:
    x = np.random.default_rng(0).normal(size=1000)
    psi = standardized(scale * (x + offset))
    assert abs(psi.mean()) < 1e-9
    assert psi.std() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(psi, (x - x.mean()) / x.std(), atol=1e-8)


@pytest.mark.parametrize("x", [[0.0] * 5, [0.1] * 7, [-1e9 / 3] * 11, [1e-300] * 3, [4.0]])
def test_what_does_not_vary_becomes_zero(x: list[float]) -> None:
    """Rounding leaves a mean that differs from equal values in the last bit: it must not be blown up to ±1."""
    assert (np.abs(standardized(x)) < 1e-12).all()


def test_standardize_lets_nan_through() -> None:
    assert np.isnan(standardized([1.0, np.nan, 2.0])).all()


def test_mean_and_variance_are_numpys() -> None:
    x = np.random.default_rng(0).normal(5, 2, 101)
    assert mean(x) == pytest.approx(np.mean(x), rel=1e-14)
    assert variance(x) == pytest.approx(np.var(x), rel=1e-13)
    assert np.isnan(mean(x[:0])) and np.isnan(variance(x[:0]))


# --- the optimal baseline on a problem of four episodes, enumerated

POLICY = np.array([0.4, -0.2, 0.1, 0.3], np.float32)  # two actions, linear in one observation
FIRST, SECOND = np.array([6.0, 4.5]), np.array([[2.0, 0.0], [-1.0, 3.0]])  # rewards of two actions one after another
EPISODES = list(itertools.product(range(2), repeat=2))
GAMMA = 0.5
NO_CRITIC = network(np.full(2, np.nan, np.float32), (1, 1), "relu")


def second_obs(action: int) -> float:
    return 0.5 if action == 0 else -1.0


def probability(episode: tuple[int, int], parameters: Array = POLICY) -> float:
    theta, product = parameters.astype(np.float64), 1.0
    for obs, action in zip((1.0, second_obs(episode[0])), episode, strict=True):
        preferences = np.exp(theta[:2] * obs + theta[2:])
        product *= preferences[action] / preferences.sum()
    return product


def batch_of(episodes: tuple[tuple[int, int], ...]) -> Batch:
    """All first steps, then all second ones."""
    count, (a, c) = len(episodes), np.array(episodes, np.int32).T
    return Batch(
        obs=np.array([[1.0] * count + [second_obs(action) for action in a]], np.float32),
        action=np.concatenate([a, c]),
        reward=np.concatenate([FIRST[a], SECOND[a, c]]),
        terminated=np.repeat([False, True], count),
        truncated=np.zeros(2 * count, np.bool_),
        trajectory=np.tile(np.arange(count, dtype=np.int32), 2),
        num_trajectories=count,
        time=np.repeat(np.array([0, 1], np.int32), count),
        final_obs=np.empty((1, 0), np.float32),
        final_sample=np.empty(0, np.int64),
    )


def exact_gradient() -> Array:
    """The slope of J by central differences."""

    def objective(theta: Array) -> float:
        return sum(probability((a, c), theta) * (FIRST[a] + GAMMA * SECOND[a, c]) for a, c in EPISODES)

    h = 1e-5
    return np.array([(objective(POLICY + h * e) - objective(POLICY - h * e)) / (2 * h) for e in np.eye(4)])


def estimated(episodes: tuple[tuple[int, int], ...], **specs: Any) -> Array:
    settings = Settings(EstimatorSpec(discount=GAMMA, **specs), 0.0, SGD, 0.1, 0.1, math.inf, False, 10, 1000)
    policy, batch = Policy(network(POLICY.copy(), (1, 2), "relu"), CategoricalHead(1.0)), batch_of(episodes)
    advantage = estimated_advantages(settings, policy, NO_CRITIC, batch)
    return np.asarray(policy_gradient(policy, batch, advantage, settings.entropy_coef)[0], np.float64)


def moments(count: int, **specs: Any) -> tuple[Array, float]:
    """The mean of the estimate from `count` episodes, and its variance, summed over parameters."""
    mean_estimate, square = np.zeros(4), 0.0
    for episodes in itertools.product(EPISODES, repeat=count):
        p = math.prod(map(probability, episodes))
        estimate = estimated(episodes, **specs)
        mean_estimate, square = mean_estimate + p * estimate, square + p * float(estimate @ estimate)
    return mean_estimate, square - float(mean_estimate @ mean_estimate)


@pytest.mark.parametrize("psi", [REWARD_TO_GO, TOTAL_RETURN])
@pytest.mark.parametrize("count", [2, 3])
def test_the_optimal_baseline_leaves_the_gradient_as_it_is_on_average(count: int, psi: int) -> None:
    with_it, variance_with = moments(count, psi=psi, baseline=OPTIMAL)
    without, variance_without = moments(count, psi=psi)
    np.testing.assert_allclose(without, exact_gradient(), atol=1e-6)
    np.testing.assert_allclose(with_it, exact_gradient(), atol=1e-6)
    assert variance_with < 0.7 * variance_without


@pytest.mark.parametrize("psi", [REWARD_TO_GO, TOTAL_RETURN])
def test_no_constant_has_a_smaller_variance_than_the_optimal_one(psi: int) -> None:
    """b = E[g · u] / E[‖u‖²] over the four episodes; another one's variance is larger by (difference)² E[‖u‖²]."""
    batch, p = batch_of(tuple(EPISODES)), np.array([probability(episode) for episode in EPISODES])
    kept = GAMMA**batch.time if psi == REWARD_TO_GO else np.ones(8)
    returns = FIRST[batch.action[:4]] + GAMMA * batch.reward[4:]
    multiplied = np.concatenate([returns, batch.reward[4:] if psi == REWARD_TO_GO else returns])
    policy = Policy(network(POLICY.copy(), (1, 2), "relu"), CategoricalHead(1.0))
    gradients = trajectory_gradients(
        policy,
        batch.obs,
        batch.action,
        NO_MASK,
        *by_trajectory(batch.trajectory, 4),
        np.stack([kept * multiplied, kept]),
    )
    product, square = overlaps(*gradients) @ p
    best = product / square
    means, variances = zip(
        *(moments(1, psi=psi, baseline=CONSTANT, constant=best + d) for d in (0, -1, 1)), strict=True
    )
    np.testing.assert_allclose(means, [exact_gradient()] * 3, atol=1e-6)
    np.testing.assert_allclose(np.subtract(variances[1:], variances[0]), square, rtol=1e-4)
    assert abs(best - float(p @ returns)) > 0.1, "the mean return is another constant"
    assert moments(1, psi=psi, baseline=CONSTANT, constant=float(p @ returns))[1] > variances[0] + 0.01 * square
