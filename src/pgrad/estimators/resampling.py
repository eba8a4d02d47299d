"""Estimates of many small batches from the gradients of their trajectories.

An estimate is linear in what multiplies the scores. With A_n = Σ_t γ^t Ψ_t ∇log π and U_n = Σ_t γ^t ∇log π of each
trajectory n, the estimate of a batch is normaliser · Σ_n scale_n (A_n - baseline_n U_n): one backward pass serves every
baseline, scale and batch size.
"""

from typing import Any, NamedTuple

import numpy as np

from pgrad.estimators.advantages import corrections, normaliser
from pgrad.estimators.baselines import Summary
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.jit import dense, strict

Array = Any


class Pieces(NamedTuple):
    """Sums over the samples of each of N trajectories, from which estimates are put together."""

    psi: Summary  # of Ψ_t before corrections
    a: Array  # [N, P] float32
    u: Array  # [N, P] float32
    overlap: Array  # [2, N] A · U and ‖U‖², read for the optimal baseline only


@strict
def group_estimate(estimator: EstimatorSpec, pieces: Pieces, lowest: int, size: int, estimate: Array) -> None:
    """Set `estimate` [P] to that of the batch of trajectories lowest … lowest + size - 1.

        estimate = normaliser · Σ_n scale_n (A_n - baseline_n U_n)

    Baseline, scale and normaliser are those of the group alone, as if nothing else had been sampled.
    """
    end, whole = lowest + size, pieces.psi
    psi = Summary(whole.length[lowest:end], whole.mean[lowest:end], whole.spread[lowest:end])
    baseline, scale = corrections(estimator, psi, pieces.overlap[:, lowest:end])
    factor = normaliser(estimator, psi.length.sum(), size)
    estimate[:] = 0.0
    for n in range(size):
        add_scaled(estimate, pieces.a[lowest + n], factor * scale[n])
        if baseline[n] != 0.0:
            add_scaled(estimate, pieces.u[lowest + n], -factor * scale[n] * baseline[n])


@strict
def group_statistics(
    estimator: EstimatorSpec, pieces: Pieces, size: int, reference: Array
) -> tuple[Array, float, float]:
    """Return over all whole groups of `size` trajectories the mean estimate [P], mean ‖estimate‖² and mean cosine.

    The cosine is that of the angle between an estimate and `reference` [P], float32; of an estimate of length zero it
    counts as 0. Groups do not overlap, so their estimates are independent; trajectories beyond the last whole group are
    left out.
    """
    parameters, groups = pieces.a.shape[1], pieces.a.shape[0] // size
    estimate, total = np.empty(parameters, np.float32), np.zeros(parameters, np.float32)
    squares, cosines, length = 0.0, 0.0, np.sqrt(inner(reference, reference))
    for g in range(groups):
        group_estimate(estimator, pieces, g * size, size, estimate)
        add_scaled(total, estimate, 1.0 / groups)
        square = inner(estimate, estimate)
        squares += square
        if square > 0.0 and length > 0.0:
            cosines += inner(estimate, reference) / (np.sqrt(square) * length)
    return total, squares / groups, cosines / groups


@dense
def add_scaled(total: Array, x: Array, factor: float) -> None:
    """Add factor · x to `total`; [P] float32 both."""
    multiplier = np.float32(factor)
    for i in range(total.size):
        total[i] += multiplier * x[i]


@dense
def inner(x: Array, y: Array) -> float:
    """Return x · y; [P] float32 both, summed in float64."""
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(y[i])
    return total
