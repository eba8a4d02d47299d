"""The numbers behind the figures of the theory, and checks of the figures' arguments."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad import exact
from pgrad.errors import InputError, require_integer
from pgrad.estimators.spec import CONSTANT, LEAVE_ONE_OUT, MEAN, NO_BASELINE, EstimatorSpec
from pgrad.exact.trajectories import EstimatorFunction
from pgrad.policies.softmax import softmax
from pgrad.verify.as_estimator import as_function

Floats = npt.NDArray[np.float64]

BASELINES = ("none", "mean of the batch", "leave-one-out", "optimal constant, known")


class ShiftedBandit(NamedTuple):
    """The variance tr Cov(ĝ) against a constant added to both rewards; [4, C], a row for each of BASELINES."""

    constants: Floats  # [C]
    exact: Floats  # by formula
    measured: Floats  # from sampled batches
    low: Floats  # end of its 95 % interval
    high: Floats


def sampled_gradients(
    mdp: exact.MDP,
    policy: exact.SoftmaxPolicy,
    estimator: EstimatorFunction,
    num_trajectories: int = 1,
    num_estimates: int = 300,
    seed: int = 0,
) -> Floats:
    """Sample independent estimates of ∇J, each from `num_trajectories` new trajectories; [num_estimates, P]."""
    size = require_integer("num_trajectories", num_trajectories, 1)
    count = require_integer("num_estimates", num_estimates, 2)
    sample = exact.sample_trajectories(mdp, policy, size * count, np.random.default_rng(seed))
    batches = [sample[k : k + size] for k in range(0, len(sample), size)]
    return np.array([exact.checked_call(estimator, batch, policy.num_parameters) for batch in batches])


def performance_on_grid(mdp: exact.MDP, family: exact.Family, grid: npt.ArrayLike) -> Floats:
    """Compute J on a grid of two parameters; [k, i] is J(θ₁ = grid[i], θ₂ = grid[k])."""
    points = vector("grid", grid)
    return np.array([[exact.solve(mdp, family([x, y])).performance for x in points] for y in points])


def variance_formula(
    constants: npt.ArrayLike, rewards: tuple[float, float] = (1.0, 0.0), noise: float = 1.0, num_trajectories: int = 4
) -> Floats:
    """Compute tr Cov(ĝ) for batches of N episodes of a two-armed bandit at θ = 0, c added to both rewards; [4, C].

    Rewards are r ± σ. The score is ±(½, −½), so that ĝ = v (½, −½) and tr Cov(ĝ) = Var(v) / 2. With
    m = (r₁ + r₂)/2 + c and d = r₁ − r₂:

        none              Var(v) = (m² + σ²) / N                     a parabola in c
        mean              ((N − 1)/N)² times leave-one-out's         the estimate itself is shrunk by (N − 1)/N
        leave-one-out     Var(v) = d² / (2N(N − 1)) + σ² / (N − 1)   c cancels in every batch
        optimal constant  Var(v) = σ² / N                            b = E[G ‖score‖²] / E‖score‖² = m, if known

    constants         c; [C]
    rewards           r₁, r₂
    noise             σ, the standard deviation of each reward
    num_trajectories  N, at least 2

    Raises InputError for anything else. For the optimal baseline: Greensmith, Bartlett and Baxter (2004).
    """
    shifts, arms = vector("constants", constants), two_arms(rewards)
    n = require_integer("num_trajectories", num_trajectories, 2)
    if not (math.isfinite(noise) and noise >= 0):
        raise InputError(f"noise must be finite and at least 0, not {noise!r}")
    left_out = (arms[0] - arms[1]) ** 2 / (2 * n * (n - 1)) + noise**2 / (n - 1)
    flat = [left_out * ((n - 1) / n) ** 2, left_out, noise**2 / n]
    none = ((arms.mean() + shifts) ** 2 + noise**2) / n
    return np.stack([none, *(np.full_like(none, value) for value in flat)]) / 2


def variance_of_shifted_bandit(
    constants: npt.ArrayLike,
    rewards: tuple[float, float] = (1.0, 0.0),
    noise: float = 1.0,
    num_trajectories: int = 4,
    num_batches: int = 2000,
    seed: int = 0,
) -> ShiftedBandit:
    """Compute `variance_formula`, and measure the same on `num_batches` batches for each constant and baseline."""
    formula = variance_formula(constants, rewards, noise, num_trajectories)
    shifts, arms = vector("constants", constants), two_arms(rewards)
    count = require_integer("num_batches", num_batches, 2)
    rng, measured = np.random.default_rng(seed), np.empty((2, *formula.shape))
    for k, constant in enumerate(shifts):
        problem = exact.bandit(arms + constant, noise)
        trajectories, chances = exact.enumerate_trajectories(problem, arm_preferences(problem)([0.0, 0.0]))
        known = EstimatorSpec(baseline=CONSTANT, constant=float(arms.mean() + constant))
        others = [EstimatorSpec(baseline=kind) for kind in (NO_BASELINE, MEAN, LEAVE_ONE_OUT)]
        for row, spec in enumerate([*others, known]):
            picks = rng.choice(chances.size, (count, num_trajectories), p=chances)
            distinct, which = np.unique(picks, axis=0, return_inverse=True)  # equal batches have equal estimates
            values = np.array([as_function(spec)([trajectories[i] for i in batch]) for batch in distinct])
            estimates = values[which.ravel()]
            squares = np.square(estimates - estimates.mean(axis=0)).sum(axis=1) * count / (count - 1)
            measured[:, row, k] = squares.mean(), 1.96 * squares.std(ddof=1) / math.sqrt(count)
    value, error = measured
    return ShiftedBandit(shifts, formula, value, value - error, value + error)


def bandit_gaps(
    rewards: npt.ArrayLike, learning_rate: float = 0.4, num_iterations: int = 2000, natural: bool = False
) -> Floats:
    """Compute J* − J(θ_t) of exact gradient ascent on a bandit from θ_0 = 0; [num_iterations + 1].

    Summed as Σ_a π_t(a) (r* − r_a): a difference of returns would cancel.
    """
    arms = vector("rewards", rewards)
    if arms.size < 2 or np.count_nonzero(arms == arms.max()) > 1:
        raise InputError(f"rewards must be those of two or more arms, exactly one of them the best, not {rewards!r}")
    problem, count = exact.bandit(arms), require_integer("num_iterations", num_iterations, 1)
    path = exact.ascend(problem, arm_preferences(problem), np.zeros(arms.size), learning_rate, count, natural)
    return np.asarray(softmax(path.parameters) @ (arms.max() - arms))


def arm_preferences(problem: exact.MDP) -> exact.Linear:
    """Return the family with one parameter for each arm, and none for terminal states."""
    return exact.Linear(np.broadcast_to(np.eye(problem.num_actions), (problem.num_states, *2 * [problem.num_actions])))


def numbers(what: str, values: npt.ArrayLike) -> Floats:
    """Return a list of numbers as an array [n]; raise InputError if it is empty or nested."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a list of real numbers, not {values!r}") from None
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{what} must be one list of numbers, at least one, not of shape {array.shape}")
    return array


def vector(what: str, values: npt.ArrayLike) -> Floats:
    """Return a list of finite numbers as an array [n]; raise InputError for anything else."""
    array = numbers(what, values)
    if not np.isfinite(array).all():
        raise InputError(f"{what} must be finite, not {values!r}")
    return array


def two_arms(rewards: npt.ArrayLike) -> Floats:
    """Return the rewards of two arms, [2]; raise InputError for anything else."""
    arms = vector("rewards", rewards)
    if arms.shape != (2,):
        raise InputError(f"rewards must be those of two arms, not {rewards!r}")
    return arms


def require_positive(what: str, value: float) -> float:
    """Return a positive finite number; raise InputError for anything else."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be positive and finite, not {value!r}")
    return value
