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
def summarised(psi: Array, trajectory: Array, num_trajectories: int) -> Summary:
    """The summary of Ψ [B], `trajectory` [B] naming each one's trajectory."""
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
    """The mean of Ψ over the batch's samples, or over its trajectories (where Ψ is one number each); [N], all equal.

    It depends on the very actions it is subtracted for, which shrinks the expected gradient: for N trajectories with
    the mean taken over them, by the factor (N - 1) / N. Greensmith, Bartlett and Baxter (2004) study baselines.
    """
    total, weight = weighted_sum(psi, per_trajectory)
    baseline = np.empty(psi.mean.size)
    for n in range(baseline.size):
        baseline[n] = total / weight
    return baseline


@strict
def leave_one_out_baseline(psi: Summary, per_trajectory: bool) -> Array:
    """For each trajectory the mean of Ψ over the *others'* samples (or over the other trajectories); [N]. Unbiased.

    Needs at least two trajectories. Kool, van Hoof and Welling (2019).
    """
    total, weight = weighted_sum(psi, per_trajectory)
    baseline = np.empty(psi.mean.size)
    for n in range(baseline.size):
        own = 1.0 if per_trajectory else psi.length[n]
        baseline[n] = (total - own * psi.mean[n]) / (weight - own)
    return baseline


@strict
def weighted_sum(psi: Summary, per_trajectory: bool) -> tuple[float, float]:
    """Σ weight · mean and Σ weight over trajectories, the weight being 1 or the number of samples."""
    total, weights = 0.0, 0.0
    for n in range(psi.mean.size):
        weight = 1.0 if per_trajectory else psi.length[n]
        total += weight * psi.mean[n]
        weights += weight
    return total, weights


@strict
def optimal_baseline(overlap: Array) -> Array:
    """For each trajectory the constant that minimises the variance, estimated from the *others*; [N]. Unbiased.

    With g = Σ_t γ^t Ψ_t ∇log π and u = Σ_t γ^t ∇log π of one trajectory, E‖g - b·u‖² is least at
    b = E[g · u] / E[‖u‖²]. overlap [2, N] holds g · u and ‖u‖². Zero where no score differs from zero. Needs at least
    two trajectories. Greensmith, Bartlett and Baxter (2004); Peters and Schaal (2008).
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
    """Mean and 1 / standard deviation of Ψ less its baseline [N], over the batch or over each episode; [N] both.

    Subtracting the one and multiplying by the other does not estimate ∇J: the mean is subtracted from its own samples,
    and the gradient is rescaled by a random number. By episode the bias stays however many there are: what tells a good
    episode from a bad one is its mean, which is taken away. The scale is 0 where Ψ does not vary.
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
    """Mean, variance and largest size of several sets of numbers become those of their union; [N], in place."""
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
