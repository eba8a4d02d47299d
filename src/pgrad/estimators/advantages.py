"""From a batch to the number that multiplies each sample's score. Training, proofs and diagnosis call these functions.

    weight_b = normaliser · scale_n · γ^t · (Ψ_b - baseline_n)        b the sample, n its trajectory

`multipliers` gives Ψ and γ^t, `corrections` the baseline and the scale of each trajectory, `weights` the product.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.estimators.baselines import (
    Summary,
    leave_one_out_baseline,
    mean_baseline,
    optimal_baseline,
    standardization,
    summarised,
)
from pgrad.estimators.returns import generalized_advantages, rewards_to_go, total_returns
from pgrad.estimators.spec import (
    AS_IT_IS,
    BY_EPISODE,
    CONSTANT,
    GAE,
    LEAVE_ONE_OUT,
    MEAN,
    OPTIMAL,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)
from pgrad.kernels.jit import strict
from pgrad.rollouts.batch import Batch

Array = Any


class Multipliers(NamedTuple):
    """What multiplies the scores before any baseline that is one number a trajectory."""

    psi: Array  # [B] G(τ), G_t, G_t - V(s_t) or Â_t
    discount_power: Array  # [B] γ^t where it is kept outside of Ψ, else 1
    target: Array  # [B] what V(s_t) should have been: the return from s_t on, or its estimate by λ


@strict
def multipliers(
    estimator: EstimatorSpec, batch: Batch, value: Array, final_value: Array, num_trajectories: int
) -> Multipliers:
    """Ψ_t and γ^t of every sample. value [B] and final_value [C] are read only with a value baseline.

    With V, time limits bootstrap; without, the return ends at the time limit, which is then part of the problem.
    """
    size, discount, whole = batch.reward.size, estimator.discount, estimator.psi == TOTAL_RETURN
    segment_end, bootstrap_value, discount_power = np.empty(size, np.bool_), np.zeros(size), np.ones(size)
    for b in range(size):
        segment_end[b] = batch.terminated[b] or batch.truncated[b]
        if estimator.exact_discounting and not whole:
            discount_power[b] = discount ** batch.time[b]
    known = np.zeros(size)
    if estimator.baseline == VALUE:
        for b in range(size):
            known[b] = value[b]
        for c in range(batch.final_sample.size):
            bootstrap_value[batch.final_sample[c]] = final_value[c]
    if estimator.psi == GAE:
        psi = generalized_advantages(
            batch.reward,
            known,
            segment_end,
            batch.trajectory,
            bootstrap_value,
            discount,
            estimator.gae_lambda,
            num_trajectories,
        )
        target = np.empty(size)
        for b in range(size):
            target[b] = psi[b] + known[b]
        return Multipliers(psi, discount_power, target)
    target = rewards_to_go(batch.reward, segment_end, batch.trajectory, bootstrap_value, discount, num_trajectories)
    psi = total_returns(target, batch.time, batch.trajectory, num_trajectories) if whole else target.copy()
    for b in range(size):
        psi[b] -= known[b]
    return Multipliers(psi, discount_power, target)


@strict
def corrections(estimator: EstimatorSpec, psi: Summary, overlap: Array) -> tuple[Array, Array]:
    """The baseline and the scale of each trajectory, [N] both.

    `overlap` [2, N] is read for the optimal baseline only (see baselines.optimal_baseline).
    """
    whole = estimator.psi == TOTAL_RETURN
    num_trajectories = psi.mean.size
    baseline, scale = np.zeros(num_trajectories), np.ones(num_trajectories)
    if estimator.baseline == CONSTANT:
        for n in range(num_trajectories):
            baseline[n] = estimator.constant
    elif estimator.baseline == MEAN:
        baseline = mean_baseline(psi, whole)
    elif estimator.baseline == LEAVE_ONE_OUT:
        baseline = leave_one_out_baseline(psi, whole)
    elif estimator.baseline == OPTIMAL:
        baseline = optimal_baseline(overlap)
    if estimator.standardize != AS_IT_IS:
        centre, scale = standardization(psi, baseline, estimator.standardize == BY_EPISODE)
        for n in range(num_trajectories):
            baseline[n] += centre[n]
    return baseline, scale


@strict
def normaliser(estimator: EstimatorSpec, num_samples: float, num_trajectories: int) -> float:
    """1/N per episode, 1/B per step."""
    return 1.0 / (num_trajectories if estimator.per_episode else num_samples)


@strict
def weights(
    estimator: EstimatorSpec, multiplied: Multipliers, trajectory: Array, overlap: Array, num_trajectories: int
) -> Array:
    """What multiplies each sample's score, [B]."""
    psi, discount_power = multiplied.psi, multiplied.discount_power
    baseline, scale = corrections(estimator, summarised(psi, trajectory, num_trajectories), overlap)
    step_weight, result = normaliser(estimator, psi.size, num_trajectories), np.empty(psi.size)
    for b in range(psi.size):
        result[b] = (psi[b] - baseline[trajectory[b]]) * scale[trajectory[b]] * discount_power[b] * step_weight
    return result
