"""The number that multiplies each sample's score. Training, proofs and diagnosis call these functions.

    weight_b = normaliser · scale_n · γ^t · (Ψ_b - baseline_n)        b the sample, n its trajectory, t its step

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
    summarise,
)
from pgrad.estimators.returns import generalized_advantages, rewards_to_go, total_returns
from pgrad.estimators.spec import (
    BY_BATCH,
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
    """Factors of each sample's score before any baseline that is one number a trajectory."""

    psi: Array  # [B] G_0, G_t, G_t - V(s_t) or Â_t
    discount_power: Array  # [B] γ^t, or 1 where it is dropped or part of Ψ
    target: Array  # [B] what V(s_t) is fitted to: the reward-to-go, or the TD(λ) return with GAE


@strict
def multipliers(spec: EstimatorSpec, batch: Batch, value: Array, final_value: Array) -> Multipliers:
    """Return Ψ and γ^t of every sample, and V's targets.

        total return    Ψ_t = G_0 - V(s_t),  γ^t being part of G_0
        reward-to-go    Ψ_t = G_t - V(s_t)
        GAE             Ψ_t = Â_t

    V is zero without a value baseline. With one, segments cut at a time limit or at the batch's end bootstrap from V;
    without, the return ends there, as if the time limit were part of the problem.

    The factor γ^t comes from J = E[Σ_t γ^t r_t] (Sutton et al. 2000, theorem 1). Without it (`exact_discounting` false)
    the estimate is that of no objective's gradient (Thomas 2014; Nota and Thomas 2020), unless γ = 1.

    spec         which Ψ, and the conventions
    batch        B samples of N trajectories
    value        [B] V(s_t), read with a value baseline only
    final_value  [C] V of the observations after the C truncated samples, likewise
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
    """Return the baseline to subtract from Ψ and the scale to multiply it by, for each trajectory; [N] both.

    psi sums up Ψ by trajectory; overlap [2, N] is read for the optimal baseline only (see baselines.optimal_baseline).
    Bias and sources stand with each baseline.
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
    if spec.standardize == BY_BATCH or spec.standardize == BY_EPISODE:
        centre, scale = standardization(psi, baseline, spec.standardize == BY_EPISODE)
        for n in range(num_trajectories):
            baseline[n] += centre[n]
    return baseline, scale


@strict
def normaliser(spec: EstimatorSpec, num_samples: float, num_trajectories: int) -> float:
    """Return 1/N per episode, 1/B per step.

    Per episode, Σ_b becomes the mean over N trajectories of their sums over steps: unbiased. Per step, B is random if
    episodes end by themselves: biased in direction by O(1/N), and shorter by the mean length of an episode.
    """
    return 1.0 / (num_trajectories if spec.per_episode else num_samples)


@strict
def weights(spec: EstimatorSpec, multiplied: Multipliers, batch: Batch, overlap: Array) -> Array:
    """Return what multiplies each sample's score, [B].

        weight_b = normaliser · scale_n · γ^t · (Ψ_b - baseline_n)

    multiplied holds Ψ and γ^t; overlap is as for `corrections`. Σ_b weight_b ∇ log π(a_b | s_b) is the estimate, whose
    bias is that of the choices in `spec`.
    """
    psi, trajectory = multiplied.psi, batch.trajectory
    baseline, scale = corrections(spec, summarise(psi, trajectory, batch.num_trajectories), overlap)
    step_weight, result = normaliser(spec, psi.size, batch.num_trajectories), np.empty(psi.size)
    for b in range(psi.size):
        n = trajectory[b]
        result[b] = (psi[b] - baseline[n]) * scale[n] * multiplied.discount_power[b] * step_weight
    return result


class Advantages(NamedTuple):
    """Everything that an estimate is made from, except the scores."""

    weight: Array  # [B] what multiplies each score: see `weights`
    step_weight: float  # the normaliser, which is the weight of one step's entropy
    target: Array  # [B] what V(s_t) is fitted to
    explained_variance: float  # 1 - Var(target - V) / Var(target); NaN without a value function
    spread: float = np.nan  # standard deviation of Ψ, before any baseline that is one number a trajectory


@strict
def weighted(spec: EstimatorSpec, multiplied: Multipliers, value: Array, batch: Batch, overlap: Array) -> Advantages:
    """Return the advantages: the weights, and what training a value function and an entropy bonus needs besides."""
    explained = np.nan
    if spec.baseline == VALUE:
        explained = 1.0 - variance_of_difference(multiplied.target, value) / variance(multiplied.target)
    step_weight = normaliser(spec, batch.reward.size, batch.num_trajectories)
    spread = np.sqrt(variance(multiplied.psi))
    return Advantages(weights(spec, multiplied, batch, overlap), step_weight, multiplied.target, explained, spread)


@strict
def advantages_of_values(spec: EstimatorSpec, batch: Batch, value: Array, final_value: Array) -> Advantages:
    """Return the advantages for known V(s) [B] and V of final observations [C]; not for the optimal baseline."""
    return weighted(spec, multipliers(spec, batch, value, final_value), value, batch, np.empty((2, 0)))
