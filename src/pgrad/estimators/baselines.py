"""What is subtracted from Ψ, one number a trajectory, and standardisation.

Batches are laid out as in estimators.returns: B samples in the order of time, `env` naming each one's trajectory.
"""

from typing import Any

import numpy as np

from pgrad.estimators.statistics import mean
from pgrad.kernels.jit import strict

Array = Any


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


@strict
def optimal_baseline(overlap: Array) -> Array:
    """For each trajectory the constant that minimises the variance, estimated from the *others*; [N]. Unbiased.

    With g = Σ_t γ^t Ψ_t ∇log π and u = Σ_t γ^t ∇log π of one trajectory, E‖g - b·u‖² is least at
    b = E[g · u] / E[‖u‖²]. overlap [2, N] holds g · u and ‖u‖². Zero where no score differs from zero. Needs at least
    two trajectories. Greensmith, Bartlett and Baxter (2004), section 4; Peters and Schaal (2008), equation 19.
    """
    num_envs = overlap.shape[1]
    baseline = np.zeros(num_envs)
    for n in range(num_envs):
        product, square = 0.0, 0.0
        for m in range(num_envs):
            if m != n:
                product += overlap[0, m]
                square += overlap[1, m]
        if square > 0.0:
            baseline[n] = product / square
    return baseline


@strict
def standardization(psi: Array, group: Array, num_groups: int) -> tuple[Array, Array]:
    """Mean and 1 / standard deviation of Ψ [B] over each group of samples; [groups] both.

    Subtracting the one and multiplying by the other does not estimate ∇J: the mean is subtracted from its own samples,
    and the gradient is rescaled by a random number. With a group a trajectory the bias stays however many there are:
    what tells a good episode from a bad one is its mean, which is taken away. The scale is 0 where Ψ does not vary.
    """
    sums, counts = sums_by_env(psi, group, num_groups, False)
    centre, squares, largest, scale = sums / counts, np.zeros(num_groups), np.zeros(num_groups), np.zeros(num_groups)
    for b in range(psi.size):
        n = group[b]
        squares[n] += (psi[b] - centre[n]) ** 2
        largest[n] = max(largest[n], abs(psi[b]))
    for n in range(num_groups):
        deviation = np.sqrt(squares[n] / counts[n])
        if not deviation <= 1e-12 * largest[n]:  # beyond rounding; NaN passes through
            scale[n] = 1.0 / deviation
    return centre, scale
