"""Baselines that are one number a trajectory, and standardisation.

Subtracting a baseline b from Ψ leaves E[(Ψ - b) ∇log π] as it is if b does not depend on the action, since the score
has mean zero; and it can lower the variance (Williams 1992; Greensmith, Bartlett and Baxter 2004). A baseline that is
computed from its own samples does depend on their actions: `mean_baseline` is biased, those that leave a trajectory's
own samples out are not.

All that these functions need of Ψ is a `Summary` of each trajectory: how many samples, their mean, their spread.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.kernels.jit import strict

Array = Any


class Summary(NamedTuple):
    """Number, mean and spread of the samples Ψ of each of N trajectories."""

    length: Array  # [N] samples
    mean: Array  # [N]
    spread: Array  # [N] Σ (Ψ - mean)²


@strict
def summarise(psi: Array, trajectory: Array, num_trajectories: int) -> Summary:
    """Return the summary of Ψ [B]; trajectory [B] says which of N trajectories each sample belongs to.

    The mean of a trajectory without samples is 0. Two passes, for the spread's accuracy.
    """
    length, mean, spread = np.zeros(num_trajectories), np.zeros(num_trajectories), np.zeros(num_trajectories)
    for b in range(psi.size):
        length[trajectory[b]] += 1.0
        mean[trajectory[b]] += psi[b]
    for n in range(num_trajectories):
        mean[n] /= max(length[n], 1.0)
    for b in range(psi.size):
        spread[trajectory[b]] += (psi[b] - mean[trajectory[b]]) ** 2
    return Summary(length, mean, spread)


@strict
def mean_baseline(psi: Summary, per_trajectory: bool) -> Array:
    """Return b = the mean of Ψ over the batch, for each trajectory the same; [N].

        b = Σ_n w_n mean_n / Σ_n w_n,    w_n the number of samples or, with `per_trajectory`, 1

    `per_trajectory` is for Ψ that is one number a trajectory, as the total return is.

    Biased: b depends on the actions that it is subtracted for. Per trajectory the expected gradient is exactly
    (N - 1)/N ∇J; over samples the bias is O(1/N).
    """
    total, weight = weighted_sum(psi, per_trajectory)
    baseline = np.empty(psi.mean.size)
    for n in range(baseline.size):
        baseline[n] = total / weight
    return baseline


@strict
def leave_one_out_baseline(psi: Summary, per_trajectory: bool) -> Array:
    """Return b_n = the mean of Ψ over the *other* trajectories; [N].

        b_n = Σ_{m ≠ n} w_m mean_m / Σ_{m ≠ n} w_m,    w_m the number of samples or, with `per_trajectory`, 1

    Unbiased, since trajectories are independent of each other. With `per_trajectory`, Ψ - b_n is N/(N - 1) times what
    `mean_baseline` leaves. Needs N ≥ 2. Kool, van Hoof and Welling (2019).
    """
    total, weight = weighted_sum(psi, per_trajectory)
    baseline = np.empty(psi.mean.size)
    for n in range(baseline.size):
        own = 1.0 if per_trajectory else psi.length[n]
        baseline[n] = (total - own * psi.mean[n]) / (weight - own)
    return baseline


@strict
def weighted_sum(psi: Summary, per_trajectory: bool) -> tuple[float, float]:
    """Return Σ w · mean and Σ w over trajectories, w being 1 or the number of samples."""
    total, weights = 0.0, 0.0
    for n in range(psi.mean.size):
        weight = 1.0 if per_trajectory else psi.length[n]
        total += weight * psi.mean[n]
        weights += weight
    return total, weights


@strict
def optimal_baseline(overlap: Array) -> Array:
    """Return for each trajectory the constant that minimises the variance, estimated from the *others*; [N].

        b = E[g · u] / E[‖u‖²]    with g = Σ_t γ^t Ψ_t ∇log π and u = Σ_t γ^t ∇log π of one trajectory

    minimises E‖g - b u‖², which is the trace of the covariance up to a constant, because E[u] = 0. overlap [2, N] holds
    g · u and ‖u‖² of each trajectory.

    Unbiased, since trajectory n's own overlaps are left out of b_n. Zero where ‖u‖² of all others is zero. Needs N ≥ 2.
    Greensmith, Bartlett and Baxter (2004); Peters and Schaal (2008), who take one such constant for each parameter.
    """
    num_trajectories = overlap.shape[1]
    baseline = np.zeros(num_trajectories)
    for n in range(num_trajectories):
        product, square = 0.0, 0.0
        for m in range(num_trajectories):
            if m != n:
                product += overlap[0, m]
                square += overlap[1, m]
        if square > 0.0:
            baseline[n] = product / square
    return baseline


@strict
def standardization(psi: Summary, baseline: Array, by_episode: bool) -> tuple[Array, Array]:
    """Return the mean and 1 / standard deviation of Ψ less its baseline; [N] both.

    Over the whole batch, or over each trajectory with `by_episode`; the standard deviation divides by the number of
    samples. baseline [N] has been subtracted from every sample of its trajectory. The scale is 0 where Ψ does not vary.

    What comes of (Ψ - baseline - mean) · scale is no estimate of ∇J. Over the batch the gradient is divided by a random
    number and the mean is taken from its own samples: the direction of the expected gradient is right up to O(1/N). By
    episode the direction stays wrong however large N is, since what tells a good episode from a bad one, its mean, is
    subtracted.
    """
    num_trajectories = baseline.size
    centre, variance, largest = np.empty(num_trajectories), np.empty(num_trajectories), np.empty(num_trajectories)
    for n in range(num_trajectories):
        centre[n], variance[n] = psi.mean[n] - baseline[n], psi.spread[n] / psi.length[n]
        largest[n] = abs(centre[n])
    if not by_episode:
        pool(psi.length, centre, variance, largest)
    scale = np.zeros(num_trajectories)
    for n in range(num_trajectories):
        deviation = np.sqrt(variance[n])
        if not deviation <= 1e-12 * largest[n]:  # beyond rounding; NaN passes through
            scale[n] = 1.0 / deviation
    return centre, scale


@strict
def pool(length: Array, centre: Array, variance: Array, largest: Array) -> None:
    """Replace mean, variance and largest size of N sets of numbers by those of their union; [N], in place."""
    samples, mean, spread, most = 0.0, 0.0, 0.0, 0.0
    for n in range(length.size):
        samples += length[n]
        mean += length[n] * centre[n]
        most = max(most, largest[n])
    mean /= samples
    for n in range(length.size):
        spread += length[n] * (variance[n] + (centre[n] - mean) ** 2)
    for n in range(length.size):
        centre[n], variance[n], largest[n] = mean, spread / samples, most
