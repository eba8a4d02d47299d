"""The estimators that train, as float64 functions from exact trajectories to an estimate of ∇J.

The weights Ψ_t γ^t / normaliser come from estimators.advantages, which training calls as well; the scores are exact.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.estimators.advantages import Multipliers, multipliers, weights
from pgrad.estimators.gradient import overlaps
from pgrad.estimators.spec import OPTIMAL, EstimatorSpec
from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Trajectory
from pgrad.rollouts.batch import Batch

NO_OBS = np.zeros((1, 0), np.float32)


def as_function(spec: EstimatorSpec) -> Callable[[list[Trajectory]], Floats]:
    """Return the estimator as a function of trajectories, from which it takes the discount and V."""

    def estimate(trajectories: list[Trajectory]) -> Floats:
        return estimated(spec._replace(discount=trajectories[0].discount), trajectories)

    return estimate


def estimated(spec: EstimatorSpec, trajectories: Sequence[Trajectory]) -> Floats:
    """Return the estimate of ∇J from a batch of trajectories, [P]."""
    scores = np.concatenate([trajectory.scores for trajectory in trajectories])
    return np.asarray(weights_of(spec, trajectories) @ scores)


def weights_of(spec: EstimatorSpec, trajectories: Sequence[Trajectory]) -> Floats:
    """Return what the estimator multiplies each step's score by, trajectory after trajectory; [B]."""
    batch = as_batch(trajectories)
    value = np.concatenate([trajectory.values[:-1] for trajectory in trajectories])
    final_value = np.array([trajectory.values[-1] for trajectory in trajectories if trajectory.truncated])
    multiplied = multipliers(spec, batch, value, final_value)
    overlap = np.empty((2, 0))
    if spec.baseline == OPTIMAL:
        scores = np.concatenate([trajectory.scores for trajectory in trajectories])
        overlap = overlaps(*trajectory_sums(multiplied, batch, scores))
    return np.asarray(weights(spec, multiplied, batch, overlap))


def trajectory_sums(multiplied: Multipliers, batch: Batch, scores: Floats) -> tuple[Floats, Floats]:
    """Return Σ_t γ^t Ψ_t ∇log π and Σ_t γ^t ∇log π of each of N trajectories; [N, P] both."""
    first = np.flatnonzero(batch.time == 0)
    u = multiplied.discount_power[:, None] * scores
    return np.add.reduceat(multiplied.psi[:, None] * u, first, axis=0), np.add.reduceat(u, first, axis=0)


def as_batch(trajectories: Sequence[Trajectory]) -> Batch:
    """Return trajectories one after the other as a batch without observations."""
    lengths = np.array([len(trajectory) for trajectory in trajectories])
    last = np.cumsum(lengths) - 1
    terminated, truncated = np.zeros(lengths.sum(), np.bool_), np.zeros(lengths.sum(), np.bool_)
    terminated[last] = [trajectory.terminated for trajectory in trajectories]
    truncated[last] = [trajectory.truncated for trajectory in trajectories]
    return Batch(
        obs=NO_OBS,
        action=np.concatenate([trajectory.actions for trajectory in trajectories]).astype(np.int32),
        reward=np.concatenate([trajectory.rewards for trajectory in trajectories]),
        terminated=terminated,
        truncated=truncated,
        trajectory=np.repeat(np.arange(len(trajectories), dtype=np.int32), lengths),
        num_trajectories=len(trajectories),
        time=np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
        final_obs=NO_OBS,
        final_sample=np.flatnonzero(truncated),
    )
