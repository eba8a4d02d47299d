"""The gSDE head over lanes: a Gaussian whose noise is a linear function of the observation (Raffin et al. 2022).

    u_d = μ_d(s) + Σ_i φ_i(s) W_id,    W_id ~ N(0, σ_id²),    φ(s) = (observation, 1)

So u ~ N(μ, σ²) in every state, with σ_d² = Σ_i φ_i² σ_id²; all log σ_id are parameters. W may be held for some steps of
an episode: noise then is a smooth function of the state, which motors survive and which carries further than noise
that is new at every step. Each u still has this distribution given s, but the actions of a held stretch depend on one
another: the product of the steps' densities is no longer the trajectory's, and the score function's estimate of ∇J is
biased (`pgrad verify` shows by how much). Held for one step, it is unbiased.

Raffin et al. take the policy's last hidden layer for φ and let no gradient pass into it. The observation, as Rückstieß
et al. (2008) take it, does not move with the parameters: the gradient is exact, and any network has it. The 1 keeps σ
above zero where the observation is zero. log σ_d is clamped as in kernels.gaussian, and W is made to fit.

A block's first O rows are the observation as the network sees it, its last D rows μ; log_std [(O + 1) · D] has the
constant's last.
"""

from typing import Any

import numpy as np

from pgrad.kernels import gaussian
from pgrad.kernels.fast_math import exp, log
from pgrad.kernels.jit import dense

f4 = np.float32

Array = Any


@dense
def variances(rows: Array, log_std: Array, parts: int, lanes: int) -> Array:
    """Return Σ_i φ_i² σ_id², [D, lanes]."""
    result, features = np.empty((parts, lanes), f4), log_std.size // parts - 1
    for d in range(parts):
        total, constant = result[d], exp(f4(2) * log_std[features * parts + d])
        for n in range(lanes):
            total[n] = constant
        for i in range(features):
            feature, variance = rows[i], exp(f4(2) * log_std[i * parts + d])
            for n in range(lanes):
                total[n] += variance * feature[n] * feature[n]
    return result


@dense
def gaussian_outputs(rows: Array, variance: Array, lanes: int) -> Array:
    """Return what a Gaussian's outputs would be, [2 D, lanes]: μ, then log σ."""
    parts = variance.shape[0]
    result, first = np.empty((2 * parts, lanes), f4), rows.shape[0] - parts
    for d in range(parts):
        for n in range(lanes):
            result[d, n] = rows[first + d, n]
            result[parts + d, n] = f4(0.5) * log(variance[d, n])
    return result


@dense
def sample(rows: Array, log_std: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
    """Draw W of bits[n], and with it action[d, at + n] = μ_d + Σ_i φ_i W_id."""
    parts, size, first = action.shape[0], log_std.size, rows.shape[0] - action.shape[0]
    variance, noise = variances(rows, log_std, parts, lanes), np.empty((size, lanes), f4)
    spread = gaussian.log_deviations(gaussian_outputs(rows, variance, lanes), np.empty(0, f4), parts, lanes)
    gaussian.sample(np.zeros((size, lanes), f4), log_std, bits, noise, 0, lanes)
    for d in range(parts):
        total = noise[size - parts + d]
        for i in range(size // parts - 1):
            feature, weight = rows[i], noise[i * parts + d]
            for n in range(lanes):
                total[n] += weight[n] * feature[n]
        for n in range(lanes):
            clamped = exp(spread[d, n] - f4(0.5) * log(variance[d, n]))  # 1, within the bounds of log σ
            action[d, at + n] = rows[first + d, n] + clamped * total[n]


@dense
def add_log_probs(rows: Array, log_std: Array, action: Array, result: Array, lanes: int) -> None:
    """Add log N(action[:, n]; μ, σ²) to result[n]."""
    outputs = gaussian_outputs(rows, variances(rows, log_std, action.shape[0], lanes), lanes)
    gaussian.add_log_probs(outputs, np.empty(0, f4), action, result, lanes)


@dense
def scores(
    rows: Array,
    log_std: Array,
    delta: Array,
    extra: Array,
    action: Array,
    weight: Array,
    entropy_weight: float,
    squash: bool,
    lanes: int,
) -> float:
    """Compute the gradient as gaussian.scores does, with ∂ log σ_d / ∂ log σ_id = φ_i² σ_id² / σ_d²."""
    parts = action.shape[0]
    variance = variances(rows, log_std, parts, lanes)
    outputs, slopes = gaussian_outputs(rows, variance, lanes), np.empty((2 * parts, lanes), f4)
    entropy = gaussian.scores(outputs, np.empty(0, f4), slopes, extra, action, weight, entropy_weight, squash, lanes)
    write_gradient(rows, log_std, variance, slopes, delta, extra, lanes)
    return entropy


@dense
def write_gradient(
    rows: Array, log_std: Array, variance: Array, slopes: Array, delta: Array, extra: Array, lanes: int
) -> None:
    """Set `delta` to slopes[:D], at μ, and `extra` to what slopes[D:], at log σ, come to at the parameters."""
    parts, features = variance.shape[0], log_std.size // variance.shape[0] - 1
    first = delta.shape[0] - parts
    for d in range(parts):
        for n in range(lanes):
            delta[first + d, n] = slopes[d, n]
        for i in range(features + 1):
            target, own = extra[i * parts + d], exp(f4(2) * log_std[i * parts + d])
            for n in range(lanes):
                target[n] = slopes[parts + d, n] * own / variance[d, n]
            if i < features:
                for n in range(lanes):
                    target[n] *= rows[i, n] * rows[i, n]


@dense
def fisher_product(
    rows: Array,
    log_std: Array,
    parts: int,
    tangent: Array,
    extra_tangent: Array,
    delta: Array,
    extra: Array,
    lanes: int,
) -> None:
    """Set delta and extra to the product with the Fisher matrix: a Gaussian's, between the derivatives of log σ.

    tangent and delta have μ in their last D rows; extra_tangent [(O + 1) · D] and extra are at the parameters.
    """
    variance, first, none = variances(rows, log_std, parts, lanes), tangent.shape[0] - parts, np.empty(0, f4)
    outputs, along = gaussian_outputs(rows, variance, lanes), np.zeros((2 * parts, lanes), f4)
    for d in range(parts):
        for n in range(lanes):
            along[d, n] = tangent[first + d, n]
    for k in range(log_std.size):
        i, d, own = k // parts, k % parts, exp(f4(2) * log_std[k]) * extra_tangent[k]
        for n in range(lanes):
            feature = rows[i, n] if k < log_std.size - parts else f4(1)
            along[parts + d, n] += own * feature * feature / variance[d, n]
    slopes = np.empty((2 * parts, lanes), f4)
    gaussian.fisher_product(outputs, none, along, none, slopes, extra, lanes)
    write_gradient(rows, log_std, variance, slopes, delta, extra, lanes)


@dense
def divergence(old_rows: Array, old_log_std: Array, rows: Array, log_std: Array, parts: int, lanes: int) -> float:
    """Return Σ_n KL(π_old ‖ π) in nats, from the rows and log_std of both."""
    before = gaussian_outputs(old_rows, variances(old_rows, old_log_std, parts, lanes), lanes)
    now, none = gaussian_outputs(rows, variances(rows, log_std, parts, lanes), lanes), np.empty(0, f4)
    return gaussian.divergence(before, none, now, none, lanes)
