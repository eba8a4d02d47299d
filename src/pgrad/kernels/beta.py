"""The Beta head over lanes: numbers within finite bounds, of independent Beta distributions (Chou et al. 2017).

The outputs are a and b, and α = 1 + softplus(a), β = 1 + softplus(b), so that there is one mode and no pole at a bound.
An action is low + (high - low) · x with x ~ Beta(α, β). What is kept of a sample is u = ½ log(x / (1 - x)), which the
environment gets as the middle + half-width · tanh u of a squashed Gaussian: near the bounds, where x would be rounded,
u keeps all digits. Densities and entropies are those of tanh u = 2 x - 1, in units of the bounds:

    log π = (α - 1) log x + (β - 1) log(1 - x) - log B(α, β) - log 2

    ∂/∂α = log x - ψ(α) + ψ(α + β),    H = log 2 B(α, β) - (α - 1) ψ(α) - (β - 1) ψ(β) + (α + β - 2) ψ(α + β)

with 1 - x for β. Petrazzini and Antonelo (2021) compare it with the Gaussian in PPO.

Rows are components, [D, ≥ lanes]; the outputs are a, then b, [2 D, ≥ lanes].
"""

import math
from typing import Any

import numpy as np

from pgrad.kernels.fast_math import exp, log
from pgrad.kernels.jit import both, dense, strict
from pgrad.kernels.random import fold_in, normal, unit
from pgrad.kernels.special import gamma_functions, log_double

f4 = np.float32

Array = Any

LOG_TWO = 0.6931471805599453
ATTEMPTS = 16  # at a gamma variate, of which each is accepted with at least 95 %


@both
def softplus(a: Any) -> Any:
    """Return log(1 + eᵃ) in float32."""
    return max(a, f4(0)) + log(f4(1) + exp(-abs(a)))


@both
def slope(a: Any) -> Any:
    """Return d softplus / da = 1 / (1 + e⁻ᵃ)."""
    return f4(1) / (f4(1) + exp(-a))


@both
def concentrations(a: Any, b: Any) -> tuple[float, float]:
    """Return α and β of two outputs, in float64."""
    return 1.0 + np.float64(softplus(a)), 1.0 + np.float64(softplus(b))


@both
def log_shares(u: Any) -> tuple[float, float]:
    """Return log x and log(1 - x) of a sample u."""
    return -np.float64(softplus(f4(-2) * u)), -np.float64(softplus(f4(2) * u))


@strict
def log_gamma_variate(shape: float, bits: Any) -> float:
    """Return the logarithm of a gamma variate of this shape ≥ 1, made of 64 random bits (Marsaglia and Tsang 2000).

    If all attempts are refused, which happens to one of 10²⁰ at most, it is d = shape - 1/3, near the mode.
    """
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    for k in range(ATTEMPTS):
        z = normal(bits, 2 * k)
        root = 1.0 + c * z
        if root > 0.0:
            log_cube = 3.0 * log_double(root)
            cube = root * root * root
            if log_double(1.0 - unit(fold_in(bits, 2 * k + 1))) < 0.5 * z * z + d * (1.0 - cube + log_cube):
                return log_double(d) + log_cube
    return log_double(d)


@strict
def sample(outputs: Array, bits: Array, action: Array, at: int, lanes: int) -> None:
    """Draw u in action[d, at + n], half the difference of two gamma variates' logarithms, made of bits[n]."""
    parts = action.shape[0]
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(outputs[d, n], outputs[parts + d, n])
            first = log_gamma_variate(alpha, fold_in(bits[n], 2 * d))
            second = log_gamma_variate(beta, fold_in(bits[n], 2 * d + 1))
            action[d, at + n] = 0.5 * (first - second)


@dense
def mean(outputs: Array, action: Array, at: int, lanes: int) -> None:
    """Set action[d, at + n] to the mean, x = α / (α + β)."""
    parts = action.shape[0]
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(outputs[d, n], outputs[parts + d, n])
            action[d, at + n] = 0.5 * log_double(alpha / beta)


@dense
def add_log_probs(outputs: Array, action: Array, result: Array, lanes: int) -> None:
    """Add the log-density of tanh u, for u in action[:, n], to result[n]."""
    parts = action.shape[0]
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(outputs[d, n], outputs[parts + d, n])
            log_x, log_rest = log_shares(action[d, n])
            log_norm = gamma_functions(alpha)[0] + gamma_functions(beta)[0] - gamma_functions(alpha + beta)[0]
            result[n] += (alpha - 1.0) * log_x + (beta - 1.0) * log_rest - log_norm - LOG_TWO


@dense
def scores(outputs: Array, delta: Array, action: Array, weight: Array, entropy_weight: float, lanes: int) -> float:
    """Compute the gradient of Σ_n weight_n · log π(action_n) + entropy_weight · H(π_n) into `delta`; return Σ_n H."""
    parts = action.shape[0]
    entropy: Any = 0.0
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(outputs[d, n], outputs[parts + d, n])
            log_x, log_rest = log_shares(action[d, n])
            log_a, psi_a, curve_a = gamma_functions(alpha)
            log_b, psi_b, curve_b = gamma_functions(beta)
            log_sum, psi_sum, curve_sum = gamma_functions(alpha + beta)
            excess = alpha + beta - 2.0
            along_a = weight[n] * (log_x - psi_a + psi_sum)
            along_b = weight[n] * (log_rest - psi_b + psi_sum)
            along_a += entropy_weight * (excess * curve_sum - (alpha - 1.0) * curve_a)
            along_b += entropy_weight * (excess * curve_sum - (beta - 1.0) * curve_b)
            delta[d, n] = along_a * slope(outputs[d, n])
            delta[parts + d, n] = along_b * slope(outputs[parts + d, n])
            entropy += log_a + log_b - log_sum + excess * psi_sum - (alpha - 1.0) * psi_a - (beta - 1.0) * psi_b
    return float(entropy + parts * lanes * LOG_TWO)


@dense
def fisher_product(outputs: Array, tangent: Array, delta: Array, lanes: int) -> None:
    """Set delta to M · tangent; M is diag(ψ'(α), ψ'(β)) - ψ'(α + β) at (α, β), times the slopes of both at (a, b)."""
    parts = outputs.shape[0] // 2
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(outputs[d, n], outputs[parts + d, n])
            slope_a, slope_b = slope(outputs[d, n]), slope(outputs[parts + d, n])
            along_a, along_b = slope_a * tangent[d, n], slope_b * tangent[parts + d, n]
            shared = gamma_functions(alpha + beta)[2] * (along_a + along_b)
            delta[d, n] = slope_a * (gamma_functions(alpha)[2] * along_a - shared)
            delta[parts + d, n] = slope_b * (gamma_functions(beta)[2] * along_b - shared)


@dense
def divergence(old: Array, outputs: Array, lanes: int) -> float:
    """Return Σ_n KL(π_old ‖ π) in nats, from the outputs of both."""
    parts, kl = outputs.shape[0] // 2, 0.0
    for d in range(parts):
        for n in range(lanes):
            alpha, beta = concentrations(old[d, n], old[parts + d, n])
            new_alpha, new_beta = concentrations(outputs[d, n], outputs[parts + d, n])
            log_a, psi_a, _ = gamma_functions(alpha)
            log_b, psi_b, _ = gamma_functions(beta)
            log_sum, psi_sum, _ = gamma_functions(alpha + beta)
            log_norm = gamma_functions(new_alpha)[0] + gamma_functions(new_beta)[0]
            log_norm -= gamma_functions(new_alpha + new_beta)[0] + log_a + log_b - log_sum
            kl += log_norm + (alpha - new_alpha) * (psi_a - psi_sum) + (beta - new_beta) * (psi_b - psi_sum)
    return kl
