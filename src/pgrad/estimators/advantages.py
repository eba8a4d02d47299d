"""What multiplies the score beyond the return: baselines, generalised advantages, standardisation.

Batches are laid out as in estimators.returns: B samples in the order of time, `env` naming each one's trajectory.
"""

from typing import Any

import numpy as np

from pgrad.estimators.statistics import mean, variance
from pgrad.kernels.jit import dense, strict

Array = Any


@strict
def generalized_advantages(
    reward: Array,
    value: Array,
    cut: Array,
    env: Array,
    tail: Array,
    discount: float,
    gae_lambda: float,
    num_envs: int,
) -> Array:
    """Â_t = Σ_k (γλ)^k δ_{t+k} up to the cut, with the TD error δ_t = r_t + γ V(s_{t+1}) - V(s_t); [B].

    λ = 0 gives the TD error, λ = 1 the reward-to-go less V(s_t). Biased by an imperfect V unless λ = 1 and no
    trajectory is cut short. Schulman et al. (2016), equation 16.
    """
    result = np.empty(reward.size)
    next_value, next_advantage = np.zeros(num_envs), np.zeros(num_envs)
    for b in range(reward.size - 1, -1, -1):
        n = env[b]
        if cut[b]:
            next_value[n], next_advantage[n] = tail[b], 0.0
        td_error = reward[b] + discount * next_value[n] - value[b]
        next_advantage[n] = td_error + discount * gae_lambda * next_advantage[n]
        next_value[n] = value[b]
        result[b] = next_advantage[n]
    return result


@strict
def mean_baseline(psi: Array, env: Array, num_envs: int, per_trajectory: bool) -> Array:
    """The mean of Ψ over the batch's samples, or over its trajectories (where Ψ is one number each); [N], all equal.

    It depends on the very actions it is subtracted for, which shrinks the expected gradient: for N trajectories with
    the mean taken over them, by the factor (N - 1) / N. Greensmith, Bartlett and Baxter (2004) study baselines.
    """
    sums, counts = sums_by_env(psi, env, num_envs, per_trajectory)
    baseline = np.empty(num_envs)
    for n in range(num_envs):
        baseline[n] = mean(sums) / mean(counts)
    return baseline


@strict
def leave_one_out_baseline(psi: Array, env: Array, num_envs: int, per_trajectory: bool) -> Array:
    """For each trajectory the mean of Ψ over the *others'* samples (or over the other trajectories); [N]. Unbiased.

    Needs at least two trajectories. Kool, van Hoof and Welling (2019).
    """
    sums, counts = sums_by_env(psi, env, num_envs, per_trajectory)
    baseline = np.empty(num_envs)
    total, count = mean(sums) * num_envs, mean(counts) * num_envs
    for n in range(num_envs):
        baseline[n] = (total - sums[n]) / (count - counts[n])
    return baseline


@strict
def sums_by_env(psi: Array, env: Array, num_envs: int, per_trajectory: bool) -> tuple[Array, Array]:
    """Σ Ψ and the number of samples of each trajectory, [N] both; with per_trajectory, Ψ once and the number 1."""
    sums, counts = np.zeros(num_envs), np.zeros(num_envs)
    for b in range(psi.size):
        if per_trajectory:
            sums[env[b]], counts[env[b]] = psi[b], 1.0
        else:
            sums[env[b]] += psi[b]
            counts[env[b]] += 1.0
    return sums, counts


@dense
def standardize(psi: Array) -> None:
    """Ψ ← (Ψ - mean) / standard deviation over the batch [B], in place. All zero where Ψ does not vary.

    Not an estimate of ∇J: the division rescales it by a random amount, and the mean is subtracted from its own samples.
    """
    centre, deviation, largest = mean(psi), np.sqrt(variance(psi)), 0.0
    for b in range(psi.size):
        largest = max(largest, abs(psi[b]))
    scale = 1.0 / deviation if deviation > 1e-12 * largest else 0.0
    for b in range(psi.size):
        psi[b] = (psi[b] - centre) * scale
