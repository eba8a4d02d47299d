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
from pgrad.kernels.reductions import variance, variance_of_difference
from pgrad.rollouts.batch import Batch

Array = Any


class Multipliers(NamedTuple):
    """What multiplies the scores before any baseline that is one number a trajectory."""

    psi: Array  # [B] G(τ), G_t, G_t - V(s_t) or Â_t
    discount_power: Array  # [B] γ^t where it is kept outside of Ψ, else 1
    target: Array  # [B] what V(s_t) should have been: the return from s_t on, or its estimate by λ


@strict
def multipliers(spec: EstimatorSpec, batch: Batch, value: Array, final_value: Array) -> Multipliers:
    """Ψ_t and γ^t of every sample. value [B] and final_value [C] are read only with a value baseline.

    With V, time limits bootstrap; without, the return ends at the time limit, which is then part of the problem.
    """
    size, discount, whole = batch.reward.size, spec.discount, spec.psi == TOTAL_RETURN
    segment_end, bootstrap_value, discount_power = np.empty(size, np.bool_), np.zeros(size), np.ones(size)
    for b in range(size):
        segment_end[b] = batch.terminated[b] or batch.truncated[b]
        if spec.exact_discounting and not whole:
            discount_power[b] = discount ** batch.time[b]
    known = np.zeros(size)
    if spec.baseline == VALUE:
        for b in range(size):
            known[b] = value[b]
        for c in range(batch.final_sample.size):
            bootstrap_value[batch.final_sample[c]] = final_value[c]
    if spec.psi == GAE:
        psi = generalized_advantages(
            batch.reward,
            known,
            segment_end,
            batch.trajectory,
            bootstrap_value,
            discount,
            spec.gae_lambda,
            batch.num_trajectories,
        )
        target = np.empty(size)
        for b in range(size):
            target[b] = psi[b] + known[b]
        return Multipliers(psi, discount_power, target)
    target = rewards_to_go(
        batch.reward, segment_end, batch.trajectory, bootstrap_value, discount, batch.num_trajectories
    )
    psi = total_returns(target, batch.time, batch.trajectory, batch.num_trajectories) if whole else target.copy()
    for b in range(size):
        psi[b] -= known[b]
    return Multipliers(psi, discount_power, target)


@strict
def corrections(spec: EstimatorSpec, psi: Summary, overlap: Array) -> tuple[Array, Array]:
    """The baseline and the scale of each trajectory, [N] both.

    `overlap` [2, N] is read for the optimal baseline only (see baselines.optimal_baseline).
    """
    whole = spec.psi == TOTAL_RETURN
    num_trajectories = psi.mean.size
    baseline, scale = np.zeros(num_trajectories), np.ones(num_trajectories)
    if spec.baseline == CONSTANT:
        for n in range(num_trajectories):
            baseline[n] = spec.constant
    elif spec.baseline == MEAN:
        baseline = mean_baseline(psi, whole)
    elif spec.baseline == LEAVE_ONE_OUT:
        baseline = leave_one_out_baseline(psi, whole)
    elif spec.baseline == OPTIMAL:
        baseline = optimal_baseline(overlap)
    if spec.standardize != AS_IT_IS:
        centre, scale = standardization(psi, baseline, spec.standardize == BY_EPISODE)
        for n in range(num_trajectories):
            baseline[n] += centre[n]
    return baseline, scale


@strict
def normaliser(spec: EstimatorSpec, num_samples: float, num_trajectories: int) -> float:
    """1/N per episode, 1/B per step."""
    return 1.0 / (num_trajectories if spec.per_episode else num_samples)


@strict
def weights(spec: EstimatorSpec, multiplied: Multipliers, batch: Batch, overlap: Array) -> Array:
    """What multiplies each sample's score, [B]."""
    psi, trajectory = multiplied.psi, batch.trajectory
    baseline, scale = corrections(spec, summarised(psi, trajectory, batch.num_trajectories), overlap)
    step_weight, result = normaliser(spec, psi.size, batch.num_trajectories), np.empty(psi.size)
    for b in range(psi.size):
        n = trajectory[b]
        result[b] = (psi[b] - baseline[n]) * scale[n] * multiplied.discount_power[b] * step_weight
    return result


class Advantages(NamedTuple):
    """What an estimate is made from, besides the scores."""

    weight: Array  # [B] Ψ_t, times γ^t where it is kept, over the normaliser
    step_weight: float  # 1 / normaliser, the weight of one step's entropy
    target: Array  # [B] what V(s_t) should have been: the return from s_t on, or its estimate by λ
    explained_variance: float  # 1 - Var(target - V) / Var(target); NaN without a value function


@strict
def weighted(spec: EstimatorSpec, multiplied: Multipliers, value: Array, batch: Batch, overlap: Array) -> Advantages:
    """Return the advantages that multipliers and what the optimal baseline needs make."""
    explained = np.nan
    if spec.baseline == VALUE:
        explained = 1.0 - variance_of_difference(multiplied.target, value) / variance(multiplied.target)
    step_weight = normaliser(spec, batch.reward.size, batch.num_trajectories)
    return Advantages(weights(spec, multiplied, batch, overlap), step_weight, multiplied.target, explained)
