"""The estimates of many small batches from the gradients of their trajectories.

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
    """N trajectories, one after the other."""

    psi: Summary  # of Ψ_t before corrections
    a: Array  # [N, P] float32
    u: Array  # [N, P] float32
    overlap: Array  # [2, N] A · U and ‖U‖², read for the optimal baseline only


@strict
def group_estimate(estimator: EstimatorSpec, pieces: Pieces, lowest: int, size: int, estimate: Array) -> None:
    """estimate [P] ← what the batch of trajectories lowest … lowest + size - 1 gives."""
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
    """Over all whole groups of `size` trajectories: the average estimate [P], ‖estimate‖², and cosine to `reference`.

    An estimate of length zero counts as orthogonal. reference [P] float32.
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
    """total += factor · x; [P] float32 both."""
    multiplier = np.float32(factor)
    for i in range(total.size):
        total[i] += multiplier * x[i]


@dense
def inner(x: Array, y: Array) -> float:
    """x · y; [P] float32 both, summed in float64."""
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(y[i])
    return total
