"""What is subtracted from Ψ, one number a trajectory, and standardisation.

For that a trajectory's Ψ are summarised by how many they are, their mean, and how far they spread.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.kernels.jit import strict

Array = Any


class Summary(NamedTuple):
    """Ψ of each of N trajectories."""

    length: Array  # [N] samples
    mean: Array  # [N]
    spread: Array  # [N] Σ (Ψ - mean)²


@strict
def summarised(psi: Array, env: Array, num_envs: int) -> Summary:
    """The summary of Ψ [B], `env` [B] naming each one's trajectory."""
    length, mean, spread = np.zeros(num_envs), np.zeros(num_envs), np.zeros(num_envs)
    for b in range(psi.size):
        length[env[b]] += 1.0
        mean[env[b]] += psi[b]
    for n in range(num_envs):
        mean[n] /= max(length[n], 1.0)
    for b in range(psi.size):
        spread[env[b]] += (psi[b] - mean[env[b]]) ** 2
    return Summary(length, mean, spread)


@strict
def mean_baseline(psi: Summary, per_trajectory: bool) -> Array:
    """The mean of Ψ over the batch's samples, or over its trajectories (where Ψ is one number each); [N], all equal.

    It depends on the very actions it is subtracted for, which shrinks the expected gradient: for N trajectories with
    the mean taken over them, by the factor (N - 1) / N. Greensmith, Bartlett and Baxter (2004) study baselines.
    """
    weight = np.ones_like(psi.length) if per_trajectory else psi.length
    baseline = np.empty(psi.mean.size)
    baseline[:] = (weight * psi.mean).sum() / weight.sum()
    return baseline


@strict
def leave_one_out_baseline(psi: Summary, per_trajectory: bool) -> Array:
    """For each trajectory the mean of Ψ over the *others'* samples (or over the other trajectories); [N]. Unbiased.

    Needs at least two trajectories. Kool, van Hoof and Welling (2019).
    """
    weight = np.ones_like(psi.length) if per_trajectory else psi.length
    sums = weight * psi.mean
    return (sums.sum() - sums) / (weight.sum() - weight)


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
def standardization(psi: Summary, baseline: Array, by_episode: bool) -> tuple[Array, Array]:
    """Mean and 1 / standard deviation of Ψ less its baseline [N], over the batch or over each episode; [N] both.

    Subtracting the one and multiplying by the other does not estimate ∇J: the mean is subtracted from its own samples,
    and the gradient is rescaled by a random number. By episode the bias stays however many there are: what tells a good
    episode from a bad one is its mean, which is taken away. The scale is 0 where Ψ does not vary.
    """
    mean, scale = psi.mean - baseline, np.zeros_like(baseline)
    centre, variance = mean.copy(), psi.spread / psi.length
    largest = np.abs(mean)
    if not by_episode:
        samples = psi.length.sum()
        centre[:] = (psi.length * mean).sum() / samples
        variance[:] = (psi.spread + psi.length * (mean - centre) ** 2).sum() / samples
        largest[:] = largest.max()
    for n in range(scale.size):
        deviation = np.sqrt(variance[n])
        if not deviation <= 1e-12 * largest[n]:  # beyond rounding; NaN passes through
            scale[n] = 1.0 / deviation
    return centre, scale
