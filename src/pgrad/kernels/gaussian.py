"""The Gaussian head over lanes: independent normal numbers, sampling and the gradient of Σ weight · log π + entropy.

A sample is u ~ N(μ, σ²), in units of the bounds: the environment gets middle + half-width · u, clipped to the bounds
or, squashed, with tanh u in place of u. (Where there are no bounds, it gets u.) So μ = 0 and σ = 1 fit any bounds. All
that is learnt is of u; the constant that the units add to densities and entropies has no gradient. Of the squashed
density, log π(a) = log N(u) - log |da/du|, the second term does not depend on the parameters at a given u, so the score
is the Gaussian's in both cases (Haarnoja et al. 2018, appendix C, has the density). Only the entropy differs:
H(a) = H(u) + E[log |da/du|], estimated at the sampled u, its gradient taken along u = μ + σ z.

In float32 the gradient is that of the very density that drew u, with the same rounding of μ, to about 1e-6. A μ in
float64 differs by a few roundings of |μ|, which σ magnifies: where |μ| / σ is 10⁴, scores by the two differ by 1e-3.

Rows are components, [D, ≥ lanes]; the outputs are μ or, if σ depends on the state, μ and then log σ.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from pgrad.kernels.fast_math import exp, log, sin_cos, tanh
from pgrad.kernels.jit import both, dense
from pgrad.kernels.random import fold_in

f4 = np.float32
i4 = np.int32
u8 = np.uint64

Array = Any

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0  # where the network gives log σ: outside, σ stays at the bound
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
HALF_LOG_TWO_PI_E = 0.5 * math.log(2 * math.pi * math.e)


HUGE = 1e30  # a bound beyond it means none, as the largest float32 does


class Bound(NamedTuple):
    """Where an action lies: middle + scale · u, clipped to [low, high]."""

    low: float
    high: float
    middle: float
    scale: float


def bound_of(low: float, high: float) -> Bound:
    """Return the middle and half the width of finite bounds; 0 and 1 if one is infinite or they leave no room."""
    if -HUGE < low < high < HUGE:
        return Bound(low, high, 0.5 * (low + high), 0.5 * (high - low))
    return Bound(low, high, 0.0, 1.0)


@dense
def log_deviations(outputs: Array, log_std: Array, parts: int, lanes: int) -> Array:
    """Return log σ [D, lanes]: the parameters log_std [D] or, without any, the outputs from D on, within bounds."""
    result = np.empty((parts, lanes), f4)
    for d in range(parts):
        row = result[d]
        if log_std.size > 0:
            for n in range(lanes):
                row[n] = log_std[d]
        else:
            source = outputs[parts + d]
            for n in range(lanes):
                row[n] = min(max(source[n], f4(LOG_STD_LOW)), f4(LOG_STD_HIGH))
    return result


@dense
def sample(outputs: Array, log_std: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
    """Draw action[d, at + n] = μ_d + σ_d z_d with standard normal numbers z made of bits[n].

    Two of them come from one draw of bits (Box and Muller 1958).
    """
    parts = action.shape[0]
    log_deviation, other = log_deviations(outputs, log_std, parts, lanes), np.empty(lanes, f4)
    for d in range(parts):
        mean, spread, target = outputs[d], log_deviation[d], action[d]
        if d % 2 == 0:
            for n in range(lanes):
                draw = fold_in(bits[n], d)
                radius = np.sqrt(f4(-2) * log((f4(i4(draw >> u8(41))) + f4(0.5)) * f4(2.0**-23)))
                sine, cosine = sin_cos(np.float64(i4((draw >> u8(9)) & u8(0x7FFFFF))) * (2 * math.pi * 2.0**-23))
                other[n] = radius * f4(sine)
                target[at + n] = mean[n] + exp(spread[n]) * radius * f4(cosine)
        else:
            for n in range(lanes):
                target[at + n] = mean[n] + exp(spread[n]) * other[n]


@dense
def add_log_probs(outputs: Array, log_std: Array, action: Array, result: Array, lanes: int) -> None:
    """Add log N(action[:, n]; μ, σ²), the density of the sample u, to result[n]."""
    parts = action.shape[0]
    log_deviation = log_deviations(outputs, log_std, parts, lanes)
    for d in range(parts):
        mean, spread, drawn = outputs[d], log_deviation[d], action[d]
        for n in range(lanes):
            z = (drawn[n] - mean[n]) * exp(-spread[n])
            result[n] -= f4(0.5) * z * z + spread[n] + f4(HALF_LOG_TWO_PI)


@dense
def scores(
    outputs: Array,
    log_std: Array,
    delta: Array,
    extra: Array,
    action: Array,
    weight: Array,
    entropy_weight: float,
    squash: bool,
    lanes: int,
) -> float:
    """Compute the gradient of Σ_n weight_n · log π(action_n) + entropy_weight · H(π_n); return Σ_n H(π_n) in nats.

    With respect to the outputs it goes to `delta`, and to each lane's share of the parameters log_std to `extra`:
    ∂/∂μ = (u - μ) / σ², ∂/∂log σ = (u - μ)² / σ² - 1 (Williams 1992, section 6). The entropy is that of u or, squashed,
    of tanh u.
    """
    parts, free = action.shape[0], log_std.size > 0
    log_deviation = log_deviations(outputs, log_std, parts, lanes)
    entropy: Any = 0.0
    for d in range(parts):
        mean, spread, drawn, along_mean = outputs[d], log_deviation[d], action[d], delta[d]
        along_spread = extra[d] if free else delta[parts + d]
        total: Any = f4(0)
        for n in range(lanes):
            inverse = exp(-spread[n])
            z = (drawn[n] - mean[n]) * inverse
            along_mean[n] = weight[n] * z * inverse
            along_spread[n] = weight[n] * (z * z - f4(1)) + f4(entropy_weight)
            total += spread[n]
        entropy += total + lanes * HALF_LOG_TWO_PI_E
        if squash:
            total = f4(0)
            for n in range(lanes):
                slope = f4(entropy_weight) * f4(-2) * tanh(drawn[n])
                along_mean[n] += slope
                along_spread[n] += slope * (drawn[n] - mean[n])
                total += log_slope(drawn[n])
            entropy += total
        if not free:
            source = outputs[parts + d]
            for n in range(lanes):
                inside = source[n] >= f4(LOG_STD_LOW) and source[n] <= f4(LOG_STD_HIGH)
                along_spread[n] = along_spread[n] if inside else f4(0)
    return float(entropy)


@dense
def fisher_product(
    outputs: Array, log_std: Array, tangent: Array, extra_tangent: Array, delta: Array, extra: Array, lanes: int
) -> None:
    """Set delta and extra to M · (tangent, extra_tangent), with M = diag(1 / σ², 2) the Fisher matrix at (μ, log σ).

    tangent and delta [D or 2 D, ≥ lanes] at the outputs; extra_tangent [D or 0] at the parameters log_std, of which
    extra [D or 0, ≥ lanes] holds each lane's share. Where the network's log σ is beyond its bounds, σ does not move.
    """
    parts, free = log_std.size if log_std.size > 0 else outputs.shape[0] // 2, log_std.size > 0
    log_deviation = log_deviations(outputs, log_std, parts, lanes)
    for d in range(parts):
        for n in range(lanes):
            delta[d, n] = tangent[d, n] * exp(f4(-2) * log_deviation[d, n])
        if free:
            for n in range(lanes):
                extra[d, n] = f4(2) * extra_tangent[d]
        else:
            source = outputs[parts + d]
            for n in range(lanes):
                inside = source[n] >= f4(LOG_STD_LOW) and source[n] <= f4(LOG_STD_HIGH)
                delta[parts + d, n] = f4(2) * tangent[parts + d, n] if inside else f4(0)


@dense
def divergence(old: Array, old_log_std: Array, outputs: Array, log_std: Array, lanes: int) -> float:
    """Return Σ_n KL(π_old ‖ π) in nats, from the outputs and log_std of both."""
    parts, kl = log_std.size if log_std.size > 0 else outputs.shape[0] // 2, 0.0
    before = log_deviations(old, old_log_std, parts, lanes)
    now = log_deviations(outputs, log_std, parts, lanes)
    for d in range(parts):
        for n in range(lanes):
            wider, z = before[d, n] - now[d, n], (old[d, n] - outputs[d, n]) * exp(-now[d, n])
            kl += f4(0.5) * (exp(f4(2) * wider) + z * z - f4(1)) - wider
    return kl


@both
def log_slope(u: Any) -> Any:
    """Return log (1 - tanh² u) in float32, for any u."""
    size = abs(u)
    return f4(2) * (f4(0.6931471805599453) - size - log(f4(1) + exp(f4(-2) * size)))


@both
def bounded(u: Any, bound: Bound, squash: bool) -> float:
    """Return the action for a sample u in units of the bounds: clipped to them, or squashed into them."""
    if squash:
        return bound.low + (bound.high - bound.low) * 0.5 * float(1.0 + tanh(u))
    return min(max(bound.middle + bound.scale * float(u), bound.low), bound.high)
