"""The softmax head over lanes: sampling from logits, and the gradient of Σ weight · log π + entropy at the logits.

Rows are actions, [actions, ≥ lanes]. The largest logit is subtracted first, so no preference overflows. A logit more
than 87 below it (a probability under 2e-38) gets probability zero. So does a forbidden action: its logit is FORBIDDEN.
"""

from typing import Any

import numpy as np

from pgrad.kernels.fast_math import exp, log
from pgrad.kernels.jit import dense

f4 = np.float32
i4 = np.int32
u8 = np.uint64

Array = Any

FORBIDDEN = -1e30
NEGLIGIBLE = -87.0  # the least that kernels.fast_math.exp takes


@dense
def forbid(logits: Array, mask: Array, start: int, lanes: int) -> None:
    """Give the actions that mask [actions or 0, ≥ start + lanes] does not allow probability zero."""
    for k in range(mask.shape[0]):
        row, allowed = logits[k], mask[k]
        for n in range(lanes):
            row[n] = row[n] if allowed[start + n] else f4(FORBIDDEN)


@dense
def normalise(logits: Array, probabilities: Array, total: Array, inverse_temperature: float, lanes: int) -> None:
    """Set logits ← (logits - max) / τ, probabilities ← exp(logits), total ← Σ probabilities (still to divide by)."""
    actions = logits.shape[0]
    first = logits[0]
    for n in range(lanes):
        total[n] = first[n]
    for k in range(1, actions):
        row = logits[k]
        for n in range(lanes):
            total[n] = row[n] if row[n] > total[n] else total[n]
    for k in range(actions):
        row = logits[k]
        for n in range(lanes):
            row[n] = (row[n] - total[n]) * f4(inverse_temperature)
    for n in range(lanes):
        total[n] = f4(0)
    for k in range(actions):
        row, weight = logits[k], probabilities[k]
        for n in range(lanes):
            weight[n] = exp(row[n]) if row[n] > f4(NEGLIGIBLE) else f4(0)
            total[n] += weight[n]


@dense
def sample(logits: Array, inverse_temperature: float, bits: Array, action: Array, lanes: int) -> None:
    """Draw action[n] ~ softmax(logits[:, n] / τ) with the random bits[n]; overwrites `logits`.

    The action is the number of cumulative probabilities that the uniform number reaches. That number is an odd multiple
    of 2⁻²⁴, neither 0 nor 1, so that no action of probability zero is ever drawn.
    """
    actions = logits.shape[0]
    total, threshold = np.empty(lanes, f4), np.empty(lanes, f4)
    normalise(logits, logits, total, inverse_temperature, lanes)
    for n in range(lanes):
        threshold[n] = (f4(i4(bits[n] >> u8(41))) + f4(0.5)) * f4(2.0**-23) * total[n]
        total[n] = f4(0)
        action[n] = 0
    for k in range(actions - 1):
        row = logits[k]
        for n in range(lanes):
            total[n] += row[n]
            action[n] += i4(threshold[n] >= total[n])


@dense
def largest(logits: Array, action: Array, lanes: int) -> None:
    """Set action[n] to the first of the largest logits of lane n."""
    for n in range(lanes):
        best = 0
        for k in range(1, logits.shape[0]):
            best = k if logits[k, n] > logits[best, n] else best
        action[n] = best


@dense
def add_log_probs(logits: Array, inverse_temperature: float, action: Array, result: Array, lanes: int) -> None:
    """Add log π(action[n]) to result[n], with π = softmax(logits / τ); `logits` stay."""
    actions = logits.shape[0]
    own, probabilities, total = np.empty((actions, lanes), f4), np.empty((actions, lanes), f4), np.empty(lanes, f4)
    for k in range(actions):
        source, target = logits[k], own[k]
        for n in range(lanes):
            target[n] = source[n]
    normalise(own, probabilities, total, inverse_temperature, lanes)
    for k in range(actions):
        row = own[k]
        for n in range(lanes):
            result[n] += row[n] if action[n] == k else f4(0)
    for n in range(lanes):
        result[n] -= log(total[n])


@dense
def logits_gradient(
    logits: Array,
    delta: Array,
    action: Array,
    weight: Array,
    inverse_temperature: float,
    entropy_weight: float,
    lanes: int,
) -> float:
    """Set delta = ∂/∂logits of Σ_n weight_n · log π(action_n) + entropy_weight · H(π_n); return Σ_n H(π_n) in nats.

    The score at the logits is (onehot(action) - π) / τ (Sutton and Barto 2018, exercise 13.3), and
    ∂H/∂z_k = -π_k (log π_k + H) / τ. Overwrites `logits`.
    """
    actions = logits.shape[0]
    total, entropy = np.empty(lanes, f4), np.empty(lanes, f4)
    normalise(logits, delta, total, inverse_temperature, lanes)
    for n in range(lanes):
        entropy[n] = log(total[n])
        total[n] = f4(1) / total[n]
    for k in range(actions):
        row, probability = logits[k], delta[k]
        for n in range(lanes):
            probability[n] *= total[n]
            entropy[n] -= probability[n] * row[n]
    entropy_sum = f4(0)
    for n in range(lanes):
        entropy_sum += entropy[n]
        total[n] = -log(total[n])
    for k in range(actions):
        row, d = logits[k], delta[k]
        for n in range(lanes):
            p = d[n]
            log_p = row[n] - total[n]
            score = weight[n] * ((f4(1) if action[n] == k else f4(0)) - p)
            d[n] = f4(inverse_temperature) * (score - f4(entropy_weight) * p * (log_p + entropy[n]))
    return float(entropy_sum)


@dense
def fisher_product(logits: Array, tangent: Array, delta: Array, inverse_temperature: float, lanes: int) -> None:
    """Set delta = M · tangent, with M = (diag π - π πᵀ) / τ² the Fisher matrix at the logits. Overwrites `logits`."""
    actions = logits.shape[0]
    total, along = np.empty(lanes, f4), np.zeros(lanes, f4)
    normalise(logits, delta, total, inverse_temperature, lanes)
    for k in range(actions):
        probability, t = delta[k], tangent[k]
        for n in range(lanes):
            probability[n] /= total[n]
            along[n] += probability[n] * t[n]
    square = f4(inverse_temperature * inverse_temperature)
    for k in range(actions):
        d, t = delta[k], tangent[k]
        for n in range(lanes):
            d[n] *= square * (t[n] - along[n])


@dense
def divergence(old: Array, logits: Array, inverse_temperature: float, lanes: int) -> float:
    """Return Σ_n KL(π_old ‖ π) in nats, from logits [A, lanes] of both, which it overwrites."""
    actions, kl = logits.shape[0], 0.0
    old_total, total, probability = np.empty(lanes, f4), np.empty(lanes, f4), np.empty((actions, lanes), f4)
    normalise(logits, probability, total, inverse_temperature, lanes)
    normalise(old, probability, old_total, inverse_temperature, lanes)
    for n in range(lanes):
        kl += log(total[n] / old_total[n])
    for k in range(actions):
        for n in range(lanes):
            kl += probability[k, n] / old_total[n] * (old[k, n] - logits[k, n])
    return kl
