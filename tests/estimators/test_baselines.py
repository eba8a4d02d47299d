"""Baselines, standardisation, generalised advantages: tables, identities, plain loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.estimators.baselines import (
    leave_one_out_baseline,
    mean_baseline,
    standardization,
    sums_by_env,
)
from pgrad.estimators.returns import generalized_advantages, rewards_to_go
from pgrad.estimators.statistics import mean, variance

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
    np.testing.assert_allclose(baseline(psi, ENV, 3, per_trajectory), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("per_trajectory", "sums", "counts"), [(False, [9, 30, 100], [3, 2, 1]), (True, [7, 9, 11], [1, 1, 1])]
)
def test_sums_by_env(per_trajectory: bool, sums: list[float], counts: list[float]) -> None:
    result = sums_by_env(PER_TRAJECTORY if per_trajectory else PSI, ENV, 3, per_trajectory)
    assert [array.tolist() for array in result] == [sums, counts]


def test_the_mean_baseline_centres_the_batch() -> None:
    psi, _, _, env, _ = interleaved()
    assert abs(np.mean(psi - mean_baseline(psi, env, N, False)[env])) < 1e-15


@pytest.mark.parametrize("per_trajectory", [False, True])
def test_leave_one_out_of_equal_returns_leaves_nothing(per_trajectory: bool) -> None:
    psi = np.full(ENV.size, 0.1)
    np.testing.assert_allclose(psi - leave_one_out_baseline(psi, ENV, 3, per_trajectory)[ENV], 0, atol=1e-16)


def test_leave_one_out_does_not_depend_on_ones_own_returns() -> None:
    changed = np.where(ENV == 1, -555.0, PSI)
    before, after = (leave_one_out_baseline(psi, ENV, 3, False) for psi in (PSI, changed))
    assert after[1] == pytest.approx(before[1], rel=1e-12)
    assert (np.abs(after - before)[[0, 2]] > 1).all()


def test_leave_one_out_is_the_mean_baseline_scaled() -> None:
    """G_n - mean of the others = N / (N - 1) · (G_n - mean of all)."""
    one_out = PER_TRAJECTORY - leave_one_out_baseline(PER_TRAJECTORY, ENV, 3, True)[ENV]
    all_in = PER_TRAJECTORY - mean_baseline(PER_TRAJECTORY, ENV, 3, True)[ENV]
    np.testing.assert_allclose(one_out, 3 / 2 * all_in, rtol=1e-13)


def standardized(x: Any) -> Array:
    psi = np.array(x, dtype=float)
    centre, scale = standardization(psi, np.zeros(psi.size, np.int32), 1)
    result: Array = (psi - centre[0]) * scale[0]
    return result


def test_standardize_by_hand() -> None:
    assert standardized([1, 3]).tolist() == [-1, 1]
    np.testing.assert_allclose(standardized([0, 0, 3, 3, 4, 2]), (np.array([0, 0, 3, 3, 4, 2]) - 2) / np.sqrt(7 / 3))


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
